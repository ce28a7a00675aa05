"""From the plugin's request to a typed, judged one.

Pure. The plugin has judged the same things with less context; the agent does it again because its own safety must
not depend on who writes to the socket.
"""

import enum
from dataclasses import dataclass, field

from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.model import PodIdentity, SandboxKey
from vpc_cni.rpc.cni.args import parse_args
from vpc_cni.rpc.cni.config import NetworkConfig, parse_config, peek_version
from vpc_cni.rpc.cni.names import check_container_id, check_ifname
from vpc_cni.rpc.cni.prev_result import RecordedWiring, find_recorded_wiring
from vpc_cni.rpc.cni.versions import NEWEST_VERSION, SUPPORTED_VERSIONS
from vpc_cni.rpc.messages import Request


class Command(enum.StrEnum):
    """Commands that reach the agent; the plugin answers VERSION itself."""

    ADD = "ADD"
    DEL = "DEL"
    CHECK = "CHECK"
    STATUS = "STATUS"
    GC = "GC"


_SANDBOX_COMMANDS = frozenset({Command.ADD, Command.DEL, Command.CHECK})
_NETNS_COMMANDS = frozenset({Command.ADD, Command.CHECK})


@dataclass(frozen=True, slots=True)
class CniRequest:
    """A request that keeps every rule of the specification.

    ``container_id`` and ``ifname`` are empty for STATUS and GC; ``netns_path`` may be empty for DEL. ``warnings`` say
    what was wrong in the configuration or the arguments but tolerated: the agent logs them.
    """

    command: Command
    config: NetworkConfig
    container_id: str = ""
    ifname: str = ""
    netns_path: str = ""
    pod: PodIdentity = field(default_factory=PodIdentity)
    warnings: tuple[str, ...] = ()

    @property
    def key(self) -> SandboxKey:
        """The sandbox that ADD, DEL and CHECK speak about."""
        return SandboxKey(self.config.network_name, self.container_id, self.ifname)

    @property
    def cni_version(self) -> str:
        """The specification version in which to answer."""
        return self.config.cni_version

    @property
    def recorded_wiring(self) -> RecordedWiring | None:
        """What the ADD's result says about the sandbox; None without a prevResult in a layout that we know."""
        if self.config.prev_result is None:
            return None
        return find_recorded_wiring(self.config.prev_result, self.ifname)


def parse_request(request: Request) -> CniRequest:
    """Judge a request.

    Raises:
        CallerError: unknown command, missing or invalid variables (code 4), JSON (6), version (1).
        ConfigurationError: the network configuration is wrong (codes 7 and 2).
    """
    command = _parse_command(request.command)
    _check_present(command, request)
    config = parse_config(request.config, command)
    _check_members(command, config)
    if command not in _SANDBOX_COMMANDS:
        return CniRequest(command, config, warnings=config.warnings)
    pod, warnings = _parse_pod(command, request.args or "")
    return CniRequest(
        command,
        config,
        container_id=check_container_id(request.container_id or ""),
        ifname=check_ifname(request.ifname or ""),
        netns_path=request.netns or "",
        pod=pod,
        warnings=config.warnings + warnings,
    )


def answer_version(config: bytes) -> str:
    """Choose the version for an answer to a configuration that may be anything. Pure; never raises."""
    version = peek_version(config)
    return version if version in SUPPORTED_VERSIONS else NEWEST_VERSION


def _parse_command(text: str) -> Command:
    try:
        return Command(text)
    except ValueError:
        raise CallerError(
            f"CNI_COMMAND {text[:32]!r} is not known", hint=f"use VERSION, {', '.join(Command)}"
        ) from None


def _check_present(command: Command, request: Request) -> None:
    """Refuse missing variables, naming all of them at once (SPEC.md, code 4)."""
    wanted: dict[str, str | None] = {}
    if command in _SANDBOX_COMMANDS:
        wanted = {"CNI_CONTAINERID": request.container_id, "CNI_IFNAME": request.ifname}
    if command in _NETNS_COMMANDS:
        wanted["CNI_NETNS"] = request.netns
    missing = [name for name, value in wanted.items() if not value]
    if missing:
        raise CallerError(
            f"{command} without {', '.join(missing)}", hint="the container runtime must set these variables"
        )


def _check_members(command: Command, config: NetworkConfig) -> None:
    if command is Command.CHECK and config.prev_result is None:
        raise ConfigurationError("CHECK without prevResult", hint="the container runtime must pass the ADD's result")
    if command is Command.GC and config.valid_attachments is None:
        raise ConfigurationError(
            "GC without cni.dev/valid-attachments", hint="the container runtime must list the sandboxes that it has"
        )


def _parse_pod(command: Command, args: str) -> tuple[PodIdentity, tuple[str, ...]]:
    """Parse CNI_ARGS; a DEL goes on without them, since its key does not depend on them."""
    try:
        return parse_args(args), ()
    except CallerError as err:
        if command is not Command.DEL:
            raise
        return PodIdentity(), (str(err),)
