"""Is an installation what was planned, and does it run? Pure."""

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vpc_cni.cluster.inventory import (
    AGENT,
    NAMESPACE,
    SERVICE_ACCOUNTS,
    Inventory,
    Reference,
    containers,
    find_container,
    reference_of,
)
from vpc_cni.cluster.rollout import find_troubles, judge_rollout
from vpc_cni.manifests import Manifest, find_changes
from vpc_cni.self_managed.carrying import env_values
from vpc_cni.self_managed.detection import EksAnswer, EksVerdict

_ROLE = "eks.amazonaws.com/role-arn"
_ROLE_VARIABLE = "AWS_ROLE_ARN"


class Outcome(enum.StrEnum):
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``detail`` says what was found, for people."""

    name: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to look at: live objects, pods of the DaemonSet, and what EKS said."""

    live: Inventory
    pods: tuple[Manifest, ...]
    eks: EksAnswer


def verify(evidence: Evidence, target: Inventory) -> tuple[Check, ...]:
    """Compare an installation with a plan, in a fixed order of checks."""
    live, wanted = evidence.live.daemon_set, target.daemon_set
    if live is None or wanted is None:
        return (Check("DaemonSet", Outcome.FAILED, f"there is no DaemonSet {AGENT}"),)
    return (
        _managed(evidence.eks),
        _rolled_out(live, evidence.pods),
        _images(live, wanted),
        _environment(live, wanted),
        _other_fields(evidence.live, target),
        *_role(evidence, target),
    )


def probe_pod(name: str, image: str) -> Manifest:
    """Return a pod that needs an address of its own and nothing else."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": "vpc-cni-probe"}},
        "spec": {
            "containers": [{"name": "probe", "image": image}],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
        },
    }


def judge_probe(pod: Manifest | None) -> Check:
    """Say whether a probe pod has an address; None for one that somebody deleted."""
    status = {} if pod is None else pod.get("status", {})
    address, node = status.get("podIP", ""), {} if pod is None else pod.get("spec", {})
    if address:
        return Check("probe pod", Outcome.OK, f"{address} on node {node.get('nodeName', '')}")
    where = f"on node {node['nodeName']}" if node.get("nodeName") else "on no node"
    found = "it is gone" if pod is None else f"{status.get('phase', 'Pending')} {where}"
    return Check("probe pod", Outcome.FAILED, "; ".join([f"no address: {found}", *find_troubles([pod or {}])]))


def _managed(eks: EksAnswer) -> Check:
    if eks.verdict is not EksVerdict.HAS_ADDON:
        return Check("add-on of EKS", Outcome.SKIPPED, str(eks.verdict))
    status, issues = eks.addon.get("status", ""), eks.addon.get("health", {}).get("issues") or ()
    lines = [f"{each.get('code')}: {each.get('message')}" for each in issues]
    return _check("add-on of EKS", status == "ACTIVE" and not issues, "; ".join([f"status {status}", *lines]))


def _rolled_out(live: Manifest, pods: Iterable[Manifest]) -> Check:
    progress = judge_rollout(live)
    return _check("roll-out", progress.is_done, "; ".join([str(progress), *find_troubles(pods)]))


def _images(live: Manifest, wanted: Manifest) -> Check:
    found = {each["name"]: each.get("image", "") for each in containers(live)}
    wrong = [
        f"{each['name']} runs {found.get(each['name'], 'nothing')}, planned {each['image']}"
        for each in containers(wanted)
        if found.get(each["name"]) != each["image"]
    ]
    return _check("images", not wrong, "; ".join(wrong or (each["image"] for each in containers(wanted))))


def _environment(live: Manifest, wanted: Manifest) -> Check:
    wrong = [line for each in containers(wanted) for line in _env_differences(each, find_container(live, each["name"]))]
    return _check("environment", not wrong, "; ".join(wrong) or "as planned")


def _env_differences(wanted: Manifest, live: Manifest | None) -> Iterator[str]:
    found, planned = env_values(live or {}), env_values(wanted)
    for name in sorted({*found, *planned}):
        if found.get(name) != planned.get(name):
            live_value = repr(found[name]) if name in found else "missing"
            plan = f"planned {planned[name]!r}" if name in planned else "not planned"
            yield f"{wanted['name']}: {name} is {live_value}, {plan}"


def _other_fields(live: Inventory, target: Inventory) -> Check:
    wrong = []
    for each in target.objects:
        found = live.find(reference_of(each))
        name = str(reference_of(each))
        if found is None:
            wrong.append(f"{name} is missing")
            continue
        wrong += [f"{name}: {change.path} differs" for change in find_changes(found, each, declared_only=True)]
    return _check("all fields", not wrong, "; ".join(wrong) or f"{len(target.objects)} objects as planned")


def _role(evidence: Evidence, target: Inventory) -> tuple[Check, ...]:
    reference = Reference(SERVICE_ACCOUNTS, AGENT)
    live, planned = (_role_of(each.find(reference)) for each in (evidence.live, target))
    account = _check("role of the service account", live == planned, f"{live or 'none'}, planned {planned or 'none'}")
    if not planned:
        return (account,)
    given = [pod for pod in evidence.pods if _has_role(pod)]
    detail = f"{len(given)} of {len(evidence.pods)} pods have {_ROLE_VARIABLE}"
    if not evidence.pods:
        return account, Check("role in pods", Outcome.SKIPPED, "there are no pods")
    return account, _check("role in pods", len(given) == len(evidence.pods), detail)


def _role_of(account: Manifest | None) -> str:
    return str(((account or {}).get("metadata", {}).get("annotations") or {}).get(_ROLE, ""))


def _has_role(pod: Manifest) -> bool:
    found = (each.get("env") or () for each in pod.get("spec", {}).get("containers", ()) if each["name"] == AGENT)
    return any(each["name"] == _ROLE_VARIABLE for env in found for each in env)


def _check(name: str, is_ok: bool, detail: str) -> Check:
    return Check(name, Outcome.OK if is_ok else Outcome.FAILED, detail)
