"""Settings of a live installation, found by comparing it with the plain render of its own version. Pure.

What an operator changed stays when the version changes; what only the old version's defaults said does not.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vpc_cni.cluster.inventory import (
    AGENT,
    CONFIG_MAP,
    CONFIG_MAPS,
    SERVICE_ACCOUNTS,
    Inventory,
    Reference,
    find_container,
    pod_spec,
)
from vpc_cni.manifests import (
    Configuration,
    IpFamily,
    Manifest,
    find_changes,
)

INIT = "aws-vpc-cni-init"
POLICY_AGENT = "aws-eks-nodeagent"
_ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
# Set by the renderer for each version and cluster: never a choice of the operator.
_DERIVED = frozenset({"VPC_CNI_VERSION", "ENABLE_IPv4", "ENABLE_IPv6"})


@dataclass(frozen=True, slots=True)
class Carried:
    """What to take over.

    Attributes:
        env: literal variables of ``aws-node`` that EKS's form of values may lack; in no ``configuration`` therefore.
        references: by container, variables that take their value from elsewhere (``valueFrom``), whole.
        missing: defaults of the live version that the live object lacks, as container and variable; they come back.
    """

    configuration: Configuration = field(default_factory=Configuration)
    env: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, tuple[Manifest, ...]] = field(default_factory=dict)
    role_arn: str = ""
    ip_family: IpFamily = IpFamily.IPV4
    missing: tuple[tuple[str, str], ...] = ()


def take_over(live: Inventory, base: Inventory) -> Carried:
    """Return the settings of an installation.

    Args:
        base: the render of the live version without any settings, same image set.
    """
    daemon_set, plain = live.daemon_set or {}, base.daemon_set or {}
    agent, init = _Pair.of(daemon_set, plain, AGENT), _Pair.of(daemon_set, plain, INIT)
    policy_agent = _Pair.of(daemon_set, plain, POLICY_AGENT)
    values = env_values(agent.live)
    return Carried(
        configuration=Configuration(
            init_env=init.changed_env(),
            config_map=_changed_data(live, base),
            node_agent_args=_changed(_flags(policy_agent.live), _flags(policy_agent.base)),
            affinity=_if_changed(pod_spec(daemon_set), pod_spec(plain), "affinity"),
            tolerations=_tolerations(daemon_set, plain),
            resources=_if_changed(agent.live, agent.base, "resources"),
            liveness_timeout_seconds=_timeout(agent, "livenessProbe"),
            readiness_timeout_seconds=_timeout(agent, "readinessProbe"),
        ),
        env=agent.changed_env(),
        references={pair.name: found for pair in (agent, init) if (found := pair.changed_references())},
        role_arn=_role_arn(live),
        ip_family=IpFamily.IPV6 if values.get("ENABLE_IPv6", "").lower() == "true" else IpFamily.IPV4,
        missing=tuple((pair.name, name) for pair in (agent, init) for name in pair.missing()),
    )


def env_values(container: Manifest) -> dict[str, str]:
    """Return literal variables; of duplicates the last one, which is the one that counts for kubelet."""
    return {str(each["name"]): str(each.get("value", "")) for each in _env(container) if not each.get("valueFrom")}


def lay_references(daemon_set: Manifest, references: Mapping[str, tuple[Manifest, ...]]) -> Manifest:
    """Return a DaemonSet with variables of some containers replaced or added."""

    def laid(container: Manifest) -> Manifest:
        entries = references.get(str(container.get("name", "")), ())
        names = {each["name"] for each in entries}
        if not entries:
            return container
        return {**container, "env": [*(each for each in _env(container) if each["name"] not in names), *entries]}

    return map_containers(daemon_set, laid)


def map_containers(daemon_set: Manifest, change: Callable[[Manifest], Manifest]) -> Manifest:
    """Return a DaemonSet with each of its containers changed, init containers too."""
    spec = pod_spec(daemon_set)
    changed = {key: [change(each) for each in spec[key]] for key in ("initContainers", "containers") if key in spec}
    template = {**daemon_set["spec"]["template"], "spec": {**spec, **changed}}
    return {**daemon_set, "spec": {**daemon_set["spec"], "template": template}}


@dataclass(frozen=True, slots=True)
class _Pair:
    """One container as it is and as its version made it; empty where it does not exist."""

    name: str
    live: Manifest
    base: Manifest

    @classmethod
    def of(cls, live: Manifest, base: Manifest, name: str) -> "_Pair":
        return cls(name, find_container(live, name) or {}, find_container(base, name) or {})

    def changed_env(self) -> dict[str, str]:
        """Return literal variables that are settings; what the version takes from the pod can be none."""
        found = _changed(env_values(self.live), env_values(self.base))
        return {name: value for name, value in found.items() if name not in {*_DERIVED, *_references(self.base)}}

    def changed_references(self) -> tuple[Manifest, ...]:
        base = _references(self.base)
        return tuple(
            each
            for name, each in _references(self.live).items()
            if name not in base or find_changes(base[name], each, declared_only=False)
        )

    def missing(self) -> tuple[str, ...]:
        live = {each["name"] for each in _env(self.live)}
        return tuple(each["name"] for each in _env(self.base) if self.live and each["name"] not in live)


def _env(container: Manifest) -> list[Manifest]:
    return container.get("env") or []


def _references(container: Manifest) -> dict[str, Manifest]:
    """Return variables with ``valueFrom``, without the version of a field reference, which the API server fills in."""
    return {str(each["name"]): _without_default_version(each) for each in _env(container) if each.get("valueFrom")}


def _without_default_version(entry: Manifest) -> Manifest:
    reference = entry["valueFrom"].get("fieldRef")
    if not reference or reference.get("apiVersion", "v1") != "v1":
        return entry
    kept = {name: value for name, value in reference.items() if name != "apiVersion"}
    return {**entry, "valueFrom": {**entry["valueFrom"], "fieldRef": kept}}


def _changed(live: Mapping[str, str], base: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in live.items() if base.get(name) != value}


def _changed_data(live: Inventory, base: Inventory) -> dict[str, str]:
    reference = Reference(CONFIG_MAPS, CONFIG_MAP)
    data, plain = (((each.find(reference) or {}).get("data") or {}) for each in (live, base))
    return _changed(data, plain)


def _flags(container: Manifest) -> dict[str, str]:
    words = (str(each).removeprefix("--").partition("=") for each in container.get("args") or ())
    return {flag: value for flag, _, value in words}


def _if_changed(live: Manifest, base: Manifest, name: str) -> Any:
    """Return a field that differs from the base; None when it does not, an empty map when it was removed."""
    if not live or not find_changes({name: base.get(name)}, {name: live.get(name)}):
        return None
    return live.get(name) or {}


def _tolerations(live: Manifest, base: Manifest) -> tuple[Mapping[str, Any], ...] | None:
    """Return tolerations that differ, in any order, without those that the DaemonSet controller adds to pods."""
    found: Iterable[Any] = pod_spec(live).get("tolerations") or ()
    plain: Iterable[Any] = pod_spec(base).get("tolerations") or ()
    return None if not live or list(found) == list(plain) else tuple(found)


def _timeout(pair: _Pair, probe: str) -> int | None:
    live, base = (each.get(probe, {}).get("timeoutSeconds") for each in (pair.live, pair.base))
    return None if live is None or live == base else int(live)


def _role_arn(live: Inventory) -> str:
    account = live.find(Reference(SERVICE_ACCOUNTS, AGENT)) or {}
    return str((account.get("metadata", {}).get("annotations") or {}).get(_ROLE_ANNOTATION, ""))
