"""Run one plugin executable and read its answer.

The only place of the lab that starts plugins. Source: containernetworking/cni SPEC.md, section 2 "Execution
Protocol": variables in the environment, configuration on stdin, one JSON object on stdout, error objects with exit
status other than zero.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from vpc_cni.errors import CniCode, ConfigurationError, HostError, VpcCniError

JsonObject = dict[str, object]

# Programs that plugins start (iptables of portmap) are found here; the rest of our environment stays out.
PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class PluginError(VpcCniError):
    """A plugin refused a call.

    Args:
        plugin: the executable's name.
        command: the CNI command that failed.
        code: the code of the plugin's error object; 100 when it printed none.
        details: the ``details`` of the error object.
    """

    def __init__(self, message: str, *, plugin: str, command: str, code: int, details: str = "") -> None:
        super().__init__(f"{plugin} {command} failed with code {code}: {message}", hint=details)
        self.plugin = plugin
        self.command = command
        self.code = code
        self.details = details
        self.retryable = code == CniCode.TRY_AGAIN_LATER


def find_plugin(name: str, directories: Sequence[Path]) -> Path:
    """Return the executable of a plugin type from the first directory that has it.

    Raises:
        ConfigurationError: no directory has it.
    """
    for directory in directories:
        candidate = directory / name
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    places = ", ".join(map(str, directories))
    raise ConfigurationError(f"plugin {name} is not in {places}", hint="copy the executable there")


def run_plugin(
    program: Path, environment: Mapping[str, str], config: Mapping[str, object], timeout_seconds: float
) -> JsonObject | None:
    """Run one plugin and return the object it printed, or None when it printed nothing.

    The program inherits the caller's network and mount namespaces.

    Raises:
        PluginError: it exited with another status than zero.
        HostError: it could not be started, did not end in time, or printed something that is no JSON object.
    """
    command = environment["CNI_COMMAND"]
    try:
        ended = subprocess.run(
            [str(program)],
            input=json.dumps(config).encode(),
            env={"PATH": PROGRAM_PATH, **environment},
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise HostError(f"{program.name} {command} did not end within {timeout_seconds:g} s") from err
    except OSError as err:
        raise HostError(f"cannot run {program}: {err.strerror}") from err
    if ended.returncode != 0:
        raise _read_error(program.name, command, ended)
    return _read_object(program.name, command, ended.stdout)


def _read_object(plugin: str, command: str, stdout: bytes) -> JsonObject | None:
    if not stdout.strip():
        return None
    try:
        answer = json.loads(stdout)
    except ValueError as err:
        raise HostError(f"{plugin} {command} printed no JSON: {stdout[:200]!r}") from err
    if not isinstance(answer, dict):
        raise HostError(f"{plugin} {command} printed JSON that is no object: {stdout[:200]!r}")
    return answer


def _read_error(plugin: str, command: str, ended: subprocess.CompletedProcess[bytes]) -> PluginError:
    try:
        answer = json.loads(ended.stdout)
        code, message, details = int(answer["code"]), str(answer["msg"]), str(answer.get("details", ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        said = (ended.stdout + ended.stderr).decode(errors="replace").strip()[:500]
        code, message, details = CniCode.INTERNAL, f"exit status {ended.returncode}, no error object: {said}", ""
    return PluginError(message, plugin=plugin, command=command, code=code, details=details)
