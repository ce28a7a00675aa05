"""What one version of the add-on looks like, as data. Pure values; ``catalogue`` reads them from a file."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from vpc_cni.manifests.versions import AddonVersion, KubernetesVersion


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule of a ClusterRole in the order to print: of groups and resources, or of ``urls`` (nonResourceURLs)."""

    groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    urls: tuple[str, ...] = ()


class Trait(enum.StrEnum):
    """A difference between versions that is neither a variable, a flag nor a right."""

    LOCK_FILE_MADE = "lock-file-made"
    """The mount of ``/run/xtables.lock`` makes the file where it is missing."""
    POLICY_AGENT_PORT = "policy-agent-port"
    """The third container declares the port of its metrics."""
    ENI_CONFIG_FIELDS = "eni-config-fields"
    """The definition of ENIConfig describes subnet and security groups."""
    POLICY_ENDPOINT_DOMAINS = "policy-endpoint-domains"
    """The definition of PolicyEndpoint has domain names beside address ranges."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A compatibility profile: the objects, defaults and schema of one version of the add-on.

    It says what an installation looks like from outside, not which program runs in it (see ``ImageSet``).

    Attributes:
        version: as it was asked for, so with or without a build; it is the tag of the images.
        builds: managed builds that exist, ascending; may be empty.
        oldest_kubernetes: None where no limit is known.
        newest_kubernetes: newest cluster version for which the sources name this release.
        cni_version: of the conflist.
        network_policy_agent: tag of the third container's image; empty where the version has none.
        env: literal variables of container ``aws-node``; ``downward_env`` those taken from pod fields (field path).
        config_map: data of ConfigMap ``amazon-vpc-cni``; empty: no such object.
        node_agent_args: flags of the third container without dashes.
        excluded_compute_types: of EKS, on whose nodes the DaemonSet does not run.
        rules: of ClusterRole ``aws-node`` in the reference.
        properties: names at the top of the schema of configuration values.
        configurable_env: variables that configuration values may set, where the version knows them.
        changes: what changed since the profile that this one extends, for people.
        sources: where these facts are published.
    """

    version: AddonVersion
    builds: tuple[int, ...]
    newest_kubernetes: KubernetesVersion
    cni_version: str
    env: Mapping[str, str]
    downward_env: Mapping[str, str]
    init_env: Mapping[str, str]
    rules: tuple[PolicyRule, ...]
    properties: tuple[str, ...]
    configurable_env: tuple[str, ...]
    configurable_init_env: tuple[str, ...]
    changes: tuple[str, ...]
    sources: tuple[str, ...]
    oldest_kubernetes: KubernetesVersion | None = None
    network_policy_agent: str = ""
    config_map: Mapping[str, str] = field(default_factory=dict)
    node_agent_args: Mapping[str, str] = field(default_factory=dict)
    excluded_compute_types: tuple[str, ...] = ("fargate",)
    traits: frozenset[Trait] = frozenset()

    @property
    def versions(self) -> tuple[AddonVersion, ...]:
        """The release and its builds, ascending."""
        release = self.version.release
        return (release, *(AddonVersion(release.major, release.minor, release.patch, build) for build in self.builds))
