"""Each check fails for its own reason and passes otherwise."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.self_managed.conftest import ROLE
from vpc_cni.cluster import Inventory
from vpc_cni.manifests import Manifest
from vpc_cni.self_managed import NOT_ASKED, EksAnswer, EksVerdict, Evidence, Outcome, judge_probe, verify

STATUS = {"observedGeneration": 1, "desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1}
Install = Callable[..., Inventory]


@pytest.fixture
def target(install: Install) -> Inventory:
    return install("v1.16.2", role_arn=ROLE, env={"WARM_IP_TARGET": "5"})


def live_of(target: Inventory) -> Inventory:
    live = copy.deepcopy(target)
    assert live.daemon_set is not None
    live.daemon_set["status"] = dict(STATUS)
    live.daemon_set["metadata"]["generation"] = 1
    return live


def pod(*names: str) -> Manifest:
    return {"spec": {"containers": [{"name": "aws-node", "env": [{"name": name} for name in names]}]}}


def failed(
    live: Inventory, target: Inventory, pods: tuple[Manifest, ...] = (), eks: EksAnswer = NOT_ASKED
) -> list[str]:
    return [check.name for check in verify(Evidence(live, pods, eks), target) if check.outcome is Outcome.FAILED]


def template(live: Inventory) -> Any:
    assert live.daemon_set is not None
    return live.daemon_set["spec"]["template"]["spec"]


def test_an_installation_as_planned_passes(target: Inventory) -> None:
    assert failed(live_of(target), target, (pod("AWS_ROLE_ARN"),)) == []


def agent(live: Inventory) -> Any:
    return template(live)["containers"][0]


def account(live: Inventory) -> Any:
    return next(each for each in live.objects if each["kind"] == "ServiceAccount")


@pytest.mark.parametrize(
    ("change", "checks"),
    [
        (lambda live: live.daemon_set["status"].update(numberUnavailable=1), ["roll-out"]),
        (lambda live: agent(live).update(image="a.example.com/b:v1.16.2"), ["images", "all fields"]),
        (lambda live: agent(live)["env"].append({"name": "X", "value": "1"}), ["environment"]),
        (lambda live: agent(live)["env"].pop(0), ["environment", "all fields"]),
        (lambda live: template(live).update(hostNetwork=False), ["all fields"]),
        (lambda live: account(live)["metadata"].pop("annotations"), ["all fields", "role of the service account"]),
    ],
)
def test_each_deviation_is_found(target: Inventory, change: Callable[[Inventory], object], checks: list[str]) -> None:
    live = live_of(target)
    change(live)
    assert failed(live, target) == checks


def test_a_missing_object_is_found(target: Inventory) -> None:
    live = Inventory(tuple(each for each in live_of(target).objects if each["kind"] != "ConfigMap"))
    assert failed(live, target) == ["all fields"]
    assert failed(Inventory(), target) == ["DaemonSet"]


def test_every_pod_must_carry_the_role(target: Inventory) -> None:
    assert failed(live_of(target), target, (pod("AWS_ROLE_ARN"), pod("OTHER"))) == ["role in pods"]


@pytest.mark.parametrize(
    ("addon", "fails"),
    [
        ({"status": "ACTIVE", "health": {"issues": []}}, False),
        ({"status": "DEGRADED", "health": {"issues": []}}, True),
        ({"status": "ACTIVE", "health": {"issues": [{"code": "AccessDenied", "message": "m"}]}}, True),
    ],
)
def test_a_managed_addon_must_be_well(target: Inventory, addon: dict[str, Any], fails: bool) -> None:
    eks = EksAnswer(EksVerdict.HAS_ADDON, addon=addon)
    assert failed(live_of(target), target, eks=eks) == (["add-on of EKS"] if fails else [])


@pytest.mark.parametrize(
    ("pod_found", "outcome", "words"),
    [
        (
            {"spec": {"nodeName": "n"}, "status": {"phase": "Running", "podIP": "10.0.1.5"}},
            Outcome.OK,
            "10.0.1.5 on node n",
        ),
        ({"spec": {"nodeName": "n"}, "status": {"phase": "Pending"}}, Outcome.FAILED, "Pending on node n"),
        ({"spec": {}}, Outcome.FAILED, "Pending on no node"),
        (None, Outcome.FAILED, "it is gone"),
    ],
)
def test_a_probe_pod_passes_with_an_address(pod_found: Manifest | None, outcome: Outcome, words: str) -> None:
    check = judge_probe(pod_found)
    assert check.outcome is outcome
    assert words in check.detail
