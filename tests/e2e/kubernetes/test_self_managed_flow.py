"""The self-managed flow on a running cluster: the documented commands typed as they are, and the commands of our own.

The cluster is the shared one. Its add-on is removed first and applied again as an operator would, by kubectl from a
rendered file; at the end it is what the others expect.
"""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cluster_objects import end_pods, restarts, running, start_pods
from cluster_operator import APPLY, OLD, SAVE, SHOW_VERSION, Operator, Outcome, agent_env, name_images, place_of
from cluster_traffic import assert_nothing_lost, traffic
from figures_file import Figures

from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.addon import REGISTRY
from vpc_cni.lab.kubernetes.images import PAUSE_IMAGE

NEW = "v1.16.2"


CUSTOM_ENV = {"WARM_IP_TARGET": "2", "MINIMUM_IP_TARGET": "4", "AWS_VPC_K8S_CNI_EXTERNALSNAT": "true", "MY_OWN": "x=y"}
TOLERATION = {"key": "dedicated", "operator": "Equal", "value": "network", "effect": "NoSchedule"}
NODE_SELECTOR = {"kubernetes.io/os": "linux"}
LABEL = {"team": "network"}
AGENT_PATH = '.spec.template.spec.containers[name="aws-node"]'


@pytest.fixture(scope="module")
def operator(addon_lab: Lab, image_archive: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    folder = tmp_path_factory.mktemp("operator")
    made = Operator(addon_lab, folder, place_of(addon_lab))
    addon_lab.kubernetes.load(*(name_images(image_archive, folder, version) for version in (OLD, NEW)))
    made.must(f"vpc-cni self-managed {made.render(NEW)} > aws-k8s-cni.yaml")
    made.must("kubectl delete -f aws-k8s-cni.yaml")
    yield made
    made.must("kubectl delete --ignore-not-found -f aws-k8s-cni.yaml")
    addon_lab.kubernetes.install(Path(image_archive))


def test_the_documented_commands_print_what_they_are_said_to(operator: Operator) -> None:
    operator.install_old()
    operator.wait()
    assert operator.must(SHOW_VERSION) == f"{OLD}\n"
    assert operator.must(SAVE) == ""
    saved = (operator.folder / "aws-k8s-cni-old.yaml").read_text()
    assert "kind: DaemonSet" in saved
    assert f"image: {REGISTRY}/amazon-k8s-cni:{OLD}" in saved
    assert sorted(operator.must(APPLY).splitlines()) == [
        "clusterrole.rbac.authorization.k8s.io/aws-node configured",
        "clusterrolebinding.rbac.authorization.k8s.io/aws-node configured",
        "configmap/amazon-vpc-cni created",
        "customresourcedefinition.apiextensions.k8s.io/eniconfigs.crd.k8s.amazonaws.com configured",
        "daemonset.apps/aws-node configured",
        "serviceaccount/aws-node configured",
    ]
    operator.wait()
    assert operator.must(SHOW_VERSION) == f"{NEW}\n"
    document = operator.run("status --json").document
    assert (document["type"], document["version"], document["origin"]) == ("self-managed", NEW, "kubectl apply")
    assert document["rollout"]["done"]


@dataclass
class Journey:
    """What each step of a round trip said, and the DaemonSet as it was before, after the update, and in the end."""

    before: dict[str, Any]
    status: Outcome
    images: Outcome
    backups: list[Outcome]
    difference: Outcome
    refused: Outcome
    unchanged: dict[str, Any]
    applied: Outcome
    after: dict[str, Any]
    verified: Outcome
    restored: Outcome
    back: dict[str, Any]


def customise(operator: Operator) -> None:
    """Make settings as operators do: variables, fields of the pod, and a label by a client with a name of its own."""
    given = " ".join(f"{name}={value}" for name, value in CUSTOM_ENV.items())
    operator.must(f"kubectl set env daemonset/aws-node -n kube-system -c aws-node {given}")
    pod = operator.daemon_set()["spec"]["template"]["spec"]
    spec = {"template": {"spec": {"tolerations": [*pod["tolerations"], TOLERATION], "nodeSelector": NODE_SELECTOR}}}
    for manager, patch in (("kubectl-patch", {"spec": spec}), ("a-user", {"metadata": {"labels": LABEL}})):
        written = json.dumps(patch)
        operator.must(f"kubectl patch ds aws-node -n kube-system --field-manager={manager} --patch '{written}'")
    operator.wait()


def travel(operator: Operator) -> Journey:
    """Look at a customised installation, update it, and bring it back."""
    target = f"--version {NEW}"
    backups = [operator.run("backup --folder saved --json") for _ in range(2)]
    file = backups[0].document["file"]
    return Journey(
        before=operator.daemon_set(),
        status=operator.run("status --json"),
        images=operator.run(f"images {target} --registry {REGISTRY}"),
        backups=backups,
        difference=operator.run(f"diff {target} --json"),
        refused=operator.run(f"apply {target} --backup-folder refused"),
        unchanged=operator.daemon_set(),
        applied=operator.run(f"apply {target} --force-conflicts --timeout 90 --backup-folder own"),
        after=operator.daemon_set(),
        verified=operator.run(f"verify {target} --backup {file} --probe-image {PAUSE_IMAGE} --json"),
        restored=operator.run(f"restore {file} --yes --timeout 90 --backup-folder own"),
        back=operator.daemon_set(),
    )


@pytest.fixture(scope="module")
def journey(operator: Operator, figures: Figures) -> Journey:
    """Make a round trip under traffic between pods of both nodes, which loses nothing and ends no pod."""
    lab = operator.lab
    operator.install_old()
    customise(operator)
    names = {node: f"steady-{node}" for node in ("node-1", "node-2")}
    for node, name in names.items():
        start_pods(lab, name, 1, node)
    source, target = (running(lab, f"app={name}")[0] for name in names.values())
    started = time.monotonic()
    with traffic(lab, source, target) as (pings, stream):
        made = travel(operator)
    figures["self_managed_round_trip_seconds"] = time.monotonic() - started
    figures["self_managed_packets_lost"] = pings.lost
    assert_nothing_lost(pings, stream)
    for pod, name in zip((source, target), names.values(), strict=True):
        assert restarts(lab, f"app={name}") == 0
        assert running(lab, f"app={name}")[0]["metadata"]["uid"] == pod["metadata"]["uid"]
        end_pods(lab, name)
    return made


def test_status_and_images_name_what_runs_and_what_to_copy(journey: Journey, operator: Operator) -> None:
    document = journey.status.document
    assert (document["type"], document["version"], document["origin"]) == ("self-managed", OLD, "kubectl apply")
    assert document["rollout"] == {"done": True, "desired": 2, "updated": 2, "available": 2, "unavailable": 0}
    nodes = json.loads(operator.must("kubectl get nodes -o json"))["items"]
    for node in nodes:
        on_node = {name for image in node["status"]["images"] for name in image["names"]}
        assert set(journey.images.out.split()) <= on_node


def test_each_backup_is_a_file_of_its_own(journey: Journey, operator: Operator) -> None:
    files = [Path(done.document["file"]).name for done in journey.backups]
    assert len(set(files)) == 2
    assert sorted(files) == sorted(file.name for file in (operator.folder / "saved").iterdir())
    assert [done.document["addon_type"] for done in journey.backups] == ["self-managed"] * 2


def test_the_difference_is_field_by_field_and_says_which_settings_are_kept(
    journey: Journey, operator: Operator
) -> None:
    document = journey.difference.document
    assert document["settings_taken_over"]["env"].items() >= CUSTOM_ENV.items()
    changes = {each["path"]: (each["before"], each["after"]) for one in document["objects"] for each in one["changes"]}
    images = (f"{REGISTRY}/amazon-k8s-cni:{OLD}", f"{REGISTRY}/amazon-k8s-cni:{NEW}")
    assert changes[f"{AGENT_PATH}.image"] == images
    assert not [path for path in changes if any(word in path for word in (*CUSTOM_ENV, "toleration", "nodeSelector"))]
    assert document["removed"] == []
    settings = {each["path"] for each in document["settings"] if each["kept"]}
    assert settings == {
        ".metadata.labels.team",
        ".spec.template.spec.tolerations",
        ".spec.template.spec.nodeSelector",
        *(f'{AGENT_PATH}.env[name="{name}"]' for name in CUSTOM_ENV),
        *(f'{AGENT_PATH}.env[name="{name}"]' for name in operator.place),
    }


def test_fields_of_others_stop_an_update_that_is_not_forced(journey: Journey, operator: Operator) -> None:
    assert journey.refused.status == 3
    assert "DaemonSet.apps kube-system/aws-node, owned by kubectl-client-side-apply:" in journey.refused.err
    assert f"~ {AGENT_PATH}.image" in journey.refused.err
    assert not (operator.folder / "refused").exists()
    assert journey.unchanged["metadata"]["resourceVersion"] == journey.before["metadata"]["resourceVersion"]


def test_an_update_keeps_every_setting_and_tells_its_progress(journey: Journey) -> None:
    assert journey.applied.status == 0, journey.applied.err
    assert "DaemonSet.apps kube-system/aws-node applied" in journey.applied.out
    lines = [line for line in journey.applied.err.splitlines() if line.startswith("roll-out: ")]
    assert len(lines) > 1
    assert lines[-1].startswith("roll-out: 2 of 2 pods updated, 2 available")
    assert agent_env(journey.after).items() >= CUSTOM_ENV.items()
    pod = journey.after["spec"]["template"]["spec"]
    assert TOLERATION in pod["tolerations"]
    assert pod["nodeSelector"] == NODE_SELECTOR
    assert journey.after["metadata"]["labels"].items() >= LABEL.items()
    assert pod["containers"][0]["image"] == f"{REGISTRY}/amazon-k8s-cni:{NEW}"


def test_verification_passes_with_a_probe_pod(journey: Journey) -> None:
    assert journey.verified.status == 0, journey.verified.out
    outcomes = {each["name"]: each["outcome"] for each in journey.verified.document["checks"]}
    assert {name for name, outcome in outcomes.items() if outcome == "ok"} >= {
        "roll-out",
        "images",
        "environment",
        "all fields",
        "probe pod",
    }


def test_a_restored_daemonset_is_the_one_of_the_backup(journey: Journey, operator: Operator) -> None:
    assert journey.restored.status == 0, journey.restored.err
    assert journey.back["spec"] == journey.before["spec"]
    assert journey.back["metadata"]["labels"] == journey.before["metadata"]["labels"]
    assert operator.must(SHOW_VERSION) == f"{OLD}\n"
    status = journey.back["status"]
    assert status["observedGeneration"] == journey.back["metadata"]["generation"]
    assert status["updatedNumberScheduled"] == status["numberAvailable"] == 2


def test_1_16_0_and_1_16_1_are_refused_on_this_cluster(operator: Operator) -> None:
    before = operator.daemon_set()["metadata"]["resourceVersion"]
    for version in ("v1.16.0", "v1.16.1"):
        done = operator.run(f"apply --version {version} --force-conflicts")
        assert done.status == 4, done.err
        assert f"{version} needs Kubernetes 1.24 or later" in done.err
    assert operator.daemon_set()["metadata"]["resourceVersion"] == before


@pytest.fixture(scope="module")
def stranger(operator: Operator) -> str:
    """Return a kubeconfig of somebody whom the API server knows and who has no rights."""
    name = json.loads(operator.must("kubectl get serviceaccount default -n default -o json"))["secrets"][0]["name"]
    secret = json.loads(operator.must(f"kubectl get secret {name} -n default -o json"))
    document = json.loads(operator.must("kubectl config view --raw --minify -o json"))
    document["users"][0]["user"] = {"token": base64.b64decode(secret["data"]["token"]).decode()}
    (operator.folder / "stranger.json").write_text(json.dumps(document))
    return "stranger.json"


@pytest.fixture(scope="module")
def nobody_home(operator: Operator) -> str:
    """Return a kubeconfig of a cluster whose address nobody answers at."""
    document = json.loads(operator.must("kubectl config view --raw --minify -o json"))
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    (operator.folder / "nobody.json").write_text(json.dumps(document))
    return "nobody.json"


@pytest.mark.parametrize(("who", "reason"), [("stranger", "403"), ("nobody_home", "refused")])
def test_who_gets_no_answer_does_not_know_the_type(
    operator: Operator, who: str, reason: str, request: pytest.FixtureRequest
) -> None:
    before = operator.daemon_set()["metadata"]["resourceVersion"]
    config = request.getfixturevalue(who)
    status = operator.run(f"status --json --kubeconfig {config}")
    assert (status.status, status.document["type"]) == (7, "unknown")
    assert reason in status.document["reason"]
    apply = operator.run(f"apply --version {NEW} --force-conflicts --kubeconfig {config}")
    assert (apply.status, apply.out) == (7, "")
    for words in ("backup", f"diff --version {NEW}", f"verify --version {NEW}"):
        done = operator.run(f"{words} --kubeconfig {config}")
        assert (done.status, done.out) == (1, ""), words
        assert reason in done.err
    assert operator.daemon_set()["metadata"]["resourceVersion"] == before


def test_an_api_server_that_is_away_gives_unknown_until_it_is_back(operator: Operator) -> None:
    operator.lab.kubernetes.stop("kube-apiserver")
    try:
        away = operator.run("status --json")
        refused = operator.run(f"apply --version {NEW} --force-conflicts")
    finally:
        operator.lab.kubernetes.start("kube-apiserver")
    assert (away.status, away.document["type"]) == (7, "unknown")
    assert refused.status == 7
    assert operator.run("status --json").document["type"] == "self-managed"
