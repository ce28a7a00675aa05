"""Settings of the address pool: how many ENIs and addresses a node holds, and who waits for them how long."""

from dataclasses import dataclass

from vpc_cni.settings._kinds import BOOLEAN, integer
from vpc_cni.settings._reader import EnvironmentReader
from vpc_cni.settings._setting import Setting, Standing

_NO_CAP = -1

WARM_ENI_TARGET = Setting(
    "WARM_ENI_TARGET",
    integer(0),
    default="1",
    since="before 1.6",
    meaning="Keep as many addresses free as this number of ENIs holds. Ignored when `WARM_IP_TARGET` or "
    "`MINIMUM_IP_TARGET` is above 0.",
)
WARM_IP_TARGET = Setting(
    "WARM_IP_TARGET",
    integer(0),
    default="0",
    since="before 1.6",
    meaning="Keep this number of addresses free; 0 for none.",
)
MINIMUM_IP_TARGET = Setting(
    "MINIMUM_IP_TARGET",
    integer(0),
    default="0",
    since="1.6.0",
    meaning="Hold at least this number of addresses, free or not; 0 for none.",
)
WARM_PREFIX_TARGET = Setting(
    "WARM_PREFIX_TARGET",
    integer(0),
    default="0",
    manifest="1",
    since="1.9.0",
    meaning="Keep this number of /28 prefixes free. Only for prefix delegation, as in the reference.",
    standing=Standing.NO_EFFECT,
    why="prefix delegation is not built yet",
)
MAX_ENI = Setting(
    "MAX_ENI",
    integer(_NO_CAP),
    default="-1",
    since="before 1.6",
    meaning="Use at most this number of ENIs, the primary one included; -1 or 0 for what the instance type allows.",
)
IP_COOLDOWN_PERIOD = Setting(
    "IP_COOLDOWN_PERIOD",
    integer(0, unit="seconds"),
    default="30",
    since="1.15.0",
    meaning="How long a released address rests before another pod may get it.",
)
MANAGE_UNTAGGED_ENI = Setting(
    "MANAGE_UNTAGGED_ENI",
    BOOLEAN,
    default="true",
    since="1.9.1",
    meaning="Use ENIs that carry no instance tag of the agent too. The primary ENI is always used; an ENI tagged "
    "`node.k8s.amazonaws.com/no_manage` = `true` never is.",
)
DISABLE_NETWORK_RESOURCE_PROVISIONING = Setting(
    "DISABLE_NETWORK_RESOURCE_PROVISIONING",
    BOOLEAN,
    default="false",
    since="1.9.1",
    meaning="Never create, tag or assign anything in EC2; use what others attach to the node.",
)
AWS_MANAGE_ENIS_NON_SCHEDULABLE = Setting(
    "AWS_MANAGE_ENIS_NON_SCHEDULABLE",
    BOOLEAN,
    default="false",
    since="1.12.6",
    meaning="Grow and shrink the pool of a cordoned node too. Where the Node object cannot be read, that always "
    "happens.",
)
MAX_PODS = Setting(
    "VPC_CNI_MAX_PODS",
    integer(1),
    default="",
    unset="what the Node says; until then ENIs x (addresses - 1) + 2 of the instance type",
    since="0.1.0",
    meaning="How many pods kubelet may run here; the pool never holds more addresses than that.",
)
RECONCILE_SECONDS = Setting(
    "VPC_CNI_RECONCILE_SECONDS",
    integer(1, 86_400, unit="seconds"),
    default="60",
    since="0.1.0",
    meaning="How often pool, EC2 and metadata are compared when nothing happens.",
)
MAX_WAITING_ADDS = Setting(
    "VPC_CNI_MAX_WAITING_ADDS",
    integer(1, 65_536),
    default="1024",
    since="0.1.0",
    meaning="How many pods may wait for an address at once; one more gets CNI code 11 at once.",
)
ADD_WAIT_SECONDS = Setting(
    "VPC_CNI_ADD_WAIT_SECONDS",
    integer(1, 600, unit="seconds"),
    default="55",
    since="0.1.0",
    meaning="How long one ADD waits for an address at most. The plugin's own deadline, 60 s for the whole ADD, "
    "ends the wait earlier if it comes first.",
)

SETTINGS: tuple[Setting[object], ...] = (
    WARM_ENI_TARGET,
    WARM_IP_TARGET,
    MINIMUM_IP_TARGET,
    WARM_PREFIX_TARGET,
    MAX_ENI,
    IP_COOLDOWN_PERIOD,
    MANAGE_UNTAGGED_ENI,
    DISABLE_NETWORK_RESOURCE_PROVISIONING,
    AWS_MANAGE_ENIS_NON_SCHEDULABLE,
    MAX_PODS,
    RECONCILE_SECONDS,
    MAX_WAITING_ADDS,
    ADD_WAIT_SECONDS,
)


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Targets and limits of the pool. ``max_eni`` and ``max_pods`` are None where the instance type decides."""

    warm_eni_target: int
    warm_ip_target: int
    minimum_ip_target: int
    max_eni: int | None
    max_pods: int | None
    cooldown_seconds: int
    manage_unschedulable: bool
    manage_untagged_eni: bool
    provisioning: bool
    reconcile_seconds: int
    max_waiting_adds: int
    add_wait_seconds: int


def read_pool(environment: EnvironmentReader) -> PoolSettings:
    """Read this module's settings; problems go to the reader."""
    max_eni = environment.read(MAX_ENI)
    return PoolSettings(
        warm_eni_target=environment.read(WARM_ENI_TARGET),
        warm_ip_target=environment.read(WARM_IP_TARGET),
        minimum_ip_target=environment.read(MINIMUM_IP_TARGET),
        max_eni=max_eni if max_eni >= 1 else None,
        max_pods=environment.read_optional(MAX_PODS),
        cooldown_seconds=environment.read(IP_COOLDOWN_PERIOD),
        manage_unschedulable=environment.read(AWS_MANAGE_ENIS_NON_SCHEDULABLE),
        manage_untagged_eni=environment.read(MANAGE_UNTAGGED_ENI),
        provisioning=not environment.read(DISABLE_NETWORK_RESOURCE_PROVISIONING),
        reconcile_seconds=environment.read(RECONCILE_SECONDS),
        max_waiting_adds=environment.read(MAX_WAITING_ADDS),
        add_wait_seconds=environment.read(ADD_WAIT_SECONDS),
    )
