"""Settings of the agent as a process on a host: files, folders, sockets, logs, and what the conflist says."""

from dataclasses import dataclass
from pathlib import Path

from vpc_cni.settings._kinds import (
    BIND_ADDRESS,
    BOOLEAN,
    LEVEL,
    LOG_TARGET,
    PATH,
    PLUGIN_LOG_TARGET,
    RUN_DIR,
    SOCKET_PATH,
    TEXT,
    choice,
)
from vpc_cni.settings._reader import EnvironmentReader
from vpc_cni.settings._setting import Container, Setting
from vpc_cni.settings.install import BIN_DIR

AGENT_SOCKET_NAME = "vpc-cni.sock"
INTROSPECTION_SOCKET_NAME = "introspect.sock"

RUN_DIR_SETTING = Setting(
    "VPC_CNI_RUN_DIR",
    RUN_DIR,
    default="/var/run/aws-node",
    since="0.1.0",
    meaning="Folder of the agent's socket, journal and spool. Must be on a tmpfs: it may not outlive a reboot.",
)
AGENT_SOCKET = Setting(
    "VPC_CNI_AGENT_SOCKET",
    SOCKET_PATH,
    default="",
    unset=f"`{AGENT_SOCKET_NAME}` in `VPC_CNI_RUN_DIR`",
    since="0.1.0",
    meaning="Where plugins find the agent's socket on the host, if the folder has another path there.",
)
BACKING_STORE = Setting(
    "AWS_VPC_K8S_CNI_BACKING_STORE",
    PATH,
    default="/var/run/aws-node/ipam.json",
    since="1.7.0",
    meaning="The checkpoint that the reference reads and writes; kept up to date for a change of implementation.",
)
LOG_LEVEL = Setting(
    "AWS_VPC_K8S_CNI_LOGLEVEL",
    LEVEL,
    default="DEBUG",
    since="before 1.6",
    meaning="Least level that is logged.",
    readers=(Container.AGENT, Container.METRICS_HELPER),
)
LOG_FILE = Setting(
    "AWS_VPC_K8S_CNI_LOG_FILE",
    LOG_TARGET,
    default="/host/var/log/aws-routed-eni/ipamd.log",
    since="1.6",
    meaning="Log file. Logs go to standard output too, or to standard error when this says `stderr`.",
)
PLUGIN_LOG_FILE = Setting(
    "AWS_VPC_K8S_PLUGIN_LOG_FILE",
    PLUGIN_LOG_TARGET,
    default="/var/log/aws-routed-eni/plugin.log",
    since="1.6.1",
    meaning="Log file of the plugin on the host, for the conflist.",
)
PLUGIN_LOG_LEVEL = Setting(
    "AWS_VPC_K8S_PLUGIN_LOG_LEVEL",
    LEVEL,
    default="DEBUG",
    since="1.6.1",
    meaning="Least level that the plugin logs, for the conflist.",
)
CONFLIST_DIR = Setting(
    "HOST_CNI_CONFDIR_PATH",
    PATH,
    default="/host/etc/cni/net.d",
    since="1.6.0",
    meaning="Where the agent writes `10-aws.conflist`.",
)
BANDWIDTH_PLUGIN = Setting(
    "ENABLE_BANDWIDTH_PLUGIN",
    BOOLEAN,
    default="false",
    since="1.10.0",
    meaning="Chain the `bandwidth` plugin in the conflist.",
)
DISABLE_POD_V6 = Setting(
    "DISABLE_POD_V6",
    BOOLEAN,
    default="false",
    since="1.15.0",
    meaning="Chain the `tuning` plugin to turn IPv6 off in pods.",
)
POD_SG_MODE = Setting(
    "POD_SECURITY_GROUP_ENFORCING_MODE",
    choice("strict", "standard"),
    default="strict",
    since="1.11.0",
    meaning="Written into the conflist. It matters for branch ENIs only, which are not built yet.",
)
DISABLE_METRICS = Setting("DISABLE_METRICS", BOOLEAN, default="false", since="before 1.6", meaning="Serve no metrics.")
METRICS_BIND_ADDRESS = Setting(
    "VPC_CNI_METRICS_BIND_ADDRESS",
    BIND_ADDRESS,
    default=":61678",
    since="0.1.0",
    meaning="Where `/metrics`, `/livez` and `/readyz` are served. The default is the reference's: all interfaces.",
)
DISABLE_INTROSPECTION = Setting(
    "DISABLE_INTROSPECTION",
    BOOLEAN,
    default="false",
    since="before 1.6",
    meaning="Serve no introspection on the network; the socket for `vpc-cni node status` stays.",
)
INTROSPECTION_BIND_ADDRESS = Setting(
    "INTROSPECTION_BIND_ADDRESS",
    BIND_ADDRESS,
    default="127.0.0.1:61679",
    since="1.5.3",
    meaning="Where `/v1/enis` and the other introspection paths are served.",
)
CRASH_AT = Setting(
    "VPC_CNI_CRASH_AT",
    TEXT,
    default="",
    unset="never",
    since="0.1.0",
    meaning="For fault tests only: `STEP` or `STEP:N`, where the agent kills itself.",
)

SETTINGS: tuple[Setting[object], ...] = (
    RUN_DIR_SETTING,
    AGENT_SOCKET,
    BACKING_STORE,
    LOG_LEVEL,
    LOG_FILE,
    PLUGIN_LOG_FILE,
    PLUGIN_LOG_LEVEL,
    CONFLIST_DIR,
    BANDWIDTH_PLUGIN,
    DISABLE_POD_V6,
    POD_SG_MODE,
    DISABLE_METRICS,
    METRICS_BIND_ADDRESS,
    DISABLE_INTROSPECTION,
    INTROSPECTION_BIND_ADDRESS,
    CRASH_AT,
)


@dataclass(frozen=True, slots=True)
class HostSettings:
    """Paths and addresses of the process. Bind addresses are ``HOST:PORT``, ``:PORT`` or ``unix:PATH``; None: off.

    ``agent_socket_on_host`` is for the conflist only; the agent itself listens on ``socket_path``.
    """

    run_dir: Path
    agent_socket_on_host: Path
    backing_store: Path
    log_level: str
    log_target: str
    plugin_log_file: str
    plugin_log_level: str
    conflist_dir: Path
    plugin_dir: Path
    bandwidth_plugin: bool
    disable_pod_v6: bool
    pod_sg_enforcing_mode: str
    metrics_bind: str | None
    introspection_bind: str | None
    crash_at: str

    @property
    def socket_path(self) -> Path:
        """Where the agent listens for plugins."""
        return self.run_dir / AGENT_SOCKET_NAME

    @property
    def introspection_socket(self) -> Path:
        """Where the agent answers ``vpc-cni node status``, whatever the network settings say."""
        return self.run_dir / INTROSPECTION_SOCKET_NAME


def read_host(environment: EnvironmentReader) -> HostSettings:
    """Read this module's settings; problems go to the reader."""
    run_dir = environment.read(RUN_DIR_SETTING)
    metrics_bind = environment.read(METRICS_BIND_ADDRESS)
    introspection_bind = environment.read(INTROSPECTION_BIND_ADDRESS)
    return HostSettings(
        run_dir=run_dir,
        agent_socket_on_host=environment.read_optional(AGENT_SOCKET) or run_dir / AGENT_SOCKET_NAME,
        backing_store=environment.read(BACKING_STORE),
        log_level=environment.read(LOG_LEVEL),
        log_target=environment.read(LOG_FILE),
        plugin_log_file=environment.read(PLUGIN_LOG_FILE),
        plugin_log_level=environment.read(PLUGIN_LOG_LEVEL).upper(),
        conflist_dir=environment.read(CONFLIST_DIR),
        plugin_dir=environment.read(BIN_DIR),
        bandwidth_plugin=environment.read(BANDWIDTH_PLUGIN),
        disable_pod_v6=environment.read(DISABLE_POD_V6),
        pod_sg_enforcing_mode=environment.read(POD_SG_MODE),
        metrics_bind=None if environment.read(DISABLE_METRICS) else metrics_bind,
        introspection_bind=None if environment.read(DISABLE_INTROSPECTION) else introspection_bind,
        crash_at=environment.read(CRASH_AT),
    )
