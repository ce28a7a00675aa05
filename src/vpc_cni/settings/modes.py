"""Settings that choose a mode. This release serves one: IPv4, secondary addresses, one network card.

Every other mode is refused by name at start: a node that quietly ran in another mode than its operator asked for
would be found out only when pods fail.
"""

from vpc_cni.settings._kinds import BOOLEAN, choice
from vpc_cni.settings._reader import EnvironmentReader
from vpc_cni.settings._setting import Container, Setting, Standing

_OFF = (False,)


def _mode(name: str, since: str, meaning: str, why: str, *, init: bool = False) -> Setting[bool]:
    """Describe a boolean that turns on a mode which is not built yet."""
    return Setting(
        name,
        BOOLEAN,
        default="false",
        since=since,
        meaning=meaning,
        readers=(Container.AGENT, Container.INIT) if init else (Container.AGENT,),
        standing=Standing.PLANNED,
        why=why,
        built=_OFF,
    )


ENABLE_IPV4 = Setting(
    "ENABLE_IPv4",
    BOOLEAN,
    default="false",
    manifest="true",
    since="1.10.0",
    meaning="Give pods IPv4 addresses. The default is false as in the reference, so a manifest must set it.",
    why="this release serves IPv4 only, and without it no pod would get an address (not set counts as false, as in "
    "the reference)",
    built=(True,),
)
ENABLE_IPV6 = _mode(
    "ENABLE_IPv6", "1.10.0", "Give pods IPv6 addresses out of a /80.", "IPv6 pods are not built yet", init=True
)
ENABLE_PREFIX_DELEGATION = _mode(
    "ENABLE_PREFIX_DELEGATION",
    "1.9.0",
    "Take /28 prefixes instead of single addresses.",
    "prefix delegation is not built yet",
)
CUSTOM_NETWORK = _mode(
    "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG",
    "before 1.6",
    "Take subnet and security groups of new ENIs from ENIConfig objects.",
    "custom networking is not built yet",
)
ENABLE_POD_ENI = _mode(
    "ENABLE_POD_ENI",
    "1.7.0",
    "Give pods branch ENIs with security groups of their own.",
    "security groups for pods are not built yet",
)
ENABLE_MULTI_NIC = _mode(
    "ENABLE_MULTI_NIC",
    "1.20.0",
    "Use ENIs on network cards other than the first.",
    "several network cards are not built yet",
)
ENABLE_V6_EGRESS = _mode(
    "ENABLE_V6_EGRESS",
    "1.13.0",
    "Let IPv4 pods reach IPv6 destinations through a second interface.",
    "the egress plugin is not built yet",
    init=True,
)
ENABLE_IMDS_ONLY_MODE = _mode(
    "ENABLE_IMDS_ONLY_MODE",
    "1.19.6",
    "Make no EC2 call at all and read only instance metadata.",
    "a node without EC2 access is not built yet (DISABLE_NETWORK_RESOURCE_PROVISIONING=true never changes EC2, but "
    "does read it)",
)
INCLUDE_COOLDOWN = _mode(
    "INCLUDE_COOLDOWN_IPS_IN_POOL_SIZE",
    "1.21.2",
    "Count addresses that cool down as part of the pool.",
    "such a pool is not built yet",
)
NETWORK_POLICY_ENFORCING_MODE = Setting(
    "NETWORK_POLICY_ENFORCING_MODE",
    choice("none", "standard", "strict"),
    default="none",
    manifest="standard",
    since="1.17.1",
    meaning="How new pods are treated until their network policies apply. `strict` denies all until then.",
    standing=Standing.PLANNED,
    why="network policy is not built yet, and pods that should start closed would start open",
    # "standard" leaves a pod open until a policy agent acts. Nothing here acts, so it is served as it says.
    built=("none", "standard"),
)

MODES: tuple[Setting[object], ...] = (
    ENABLE_IPV4,
    ENABLE_IPV6,
    ENABLE_PREFIX_DELEGATION,
    CUSTOM_NETWORK,
    ENABLE_POD_ENI,
    ENABLE_MULTI_NIC,
    ENABLE_V6_EGRESS,
    ENABLE_IMDS_ONLY_MODE,
    INCLUDE_COOLDOWN,
    NETWORK_POLICY_ENFORCING_MODE,
)


def check_modes(environment: EnvironmentReader) -> None:
    """Refuse every mode that is not built, in the order of the table; problems go to the reader."""
    for setting in MODES:
        environment.read(setting)
