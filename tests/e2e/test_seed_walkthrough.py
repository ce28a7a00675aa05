"""The user guide's procedures for the add-on, typed as they stand there, on a cluster whose pods talk meanwhile.

Lines that the guide breaks have a backslash in their middle there; they are whole here. ``aws`` is the real command of
version 1, which prints times as numbers. The service is a process of its own; of the guide's addresses only the host
of the manifest differs. The cluster is the shared one; at the end it is what the others expect.
"""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from addon_service import ACCOUNT, CLUSTER, DESCRIBE, REGION, ROLE_ARN, Customer, restore, serving
from cluster_objects import agent_pods, restarts, running, start_pods
from cluster_operator import APPLY, OLD, SAVE, SHOW_VERSION, Outcome, name_images
from cluster_traffic import assert_nothing_lost, traffic
from figures_file import Figures

from vpc_cni.lab import Lab

pytestmark = pytest.mark.kubernetes

NEW, PLAIN = "v1.16.2-eksbuild.1", "v1.16.2"
SNAT, LEVEL = "AWS_VPC_K8S_CNI_EXTERNALSNAT", "AWS_VPC_K8S_CNI_LOGLEVEL"

# As documented, letter by letter.
SHOW_MANAGED = (
    "aws eks describe-addon --cluster-name my-cluster --addon-name vpc-cni --query addon.addonVersion --output text"
)
SHOW_MANAGED_QUOTED = (
    'aws eks describe-addon --cluster-name my-cluster --addon-name vpc-cni --query "addon.addonVersion" --output text'
)
CREATE = (
    "aws eks create-addon --cluster-name my-cluster --addon-name vpc-cni --addon-version v1.16.2-eksbuild.1 "
    "--service-account-role-arn arn:aws:iam::111122223333:role/AmazonEKSVPCCNIRole"
)
SHOW_SCHEMA = "aws eks describe-addon-configuration --addon-name vpc-cni --addon-version v1.16.2-eksbuild.1"
UPDATE = (
    "aws eks update-addon --cluster-name my-cluster --addon-name vpc-cni --addon-version v1.16.2-eksbuild.1 "
    "--service-account-role-arn arn:aws:iam::111122223333:role/AmazonEKSVPCCNIRole "
    """--resolve-conflicts PRESERVE --configuration-values '{"env":{"AWS_VPC_K8S_CNI_EXTERNALSNAT":"true"}}'"""
)
FETCH = "curl -O https://raw.githubusercontent.com/aws/amazon-vpc-cni-k8s/v1.16.2/config/master/aws-k8s-cni.yaml"
PODS = {node: f"walk-{node}" for node in ("node-1", "node-2")}
PUBLISHER = "https://raw.githubusercontent.com"

# The guide's example of an answer; ids and times are any.
EXAMPLE = json.loads(
    r"""
{ "addon": { "addonName": "vpc-cni", "clusterName": "my-cluster", "status": "ACTIVE",
  "addonVersion": "v1.16.2-eksbuild.1", "health": { "issues": [] },
  "addonArn": "arn:aws:eks:region:111122223333:addon/my-cluster/vpc-cni/74c33d2f-b4dc-8718-56e7-9fdfa65d14a9",
  "createdAt": "2023-04-12T18:25:19.319000+00:00", "modifiedAt": "2023-04-12T18:40:28.683000+00:00",
  "serviceAccountRoleArn": "arn:aws:iam::111122223333:role/AmazonEKSVPCCNIRole", "tags": {},
  "configurationValues": "{\"env\":{\"AWS_VPC_K8S_CNI_EXTERNALSNAT\":\"true\"}}" } }
"""
)
ANY = ("addonArn", "createdAt", "modifiedAt")
ARN = rf"arn:aws:eks:{REGION}:{ACCOUNT}:addon/{CLUSTER}/vpc-cni/[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}"

AGENT = '.spec.template.spec.containers[name="aws-node"]'
HEADER = "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. Conflicts:"
VERSION_LABEL = ".metadata.labels.app.kubernetes.io/version"
# What kubectl owns and the new version has otherwise, the setting made by hand among it.
CONFLICTS = (
    HEADER,
    f"ServiceAccount aws-node - {VERSION_LABEL}",
    f"ClusterRole.rbac.authorization.k8s.io aws-node - {VERSION_LABEL}",
    f"ClusterRoleBinding.rbac.authorization.k8s.io aws-node - {VERSION_LABEL}",
    f"DaemonSet.apps aws-node - {VERSION_LABEL}",
    f'DaemonSet.apps aws-node - {AGENT}.env[name="{SNAT}"].value',
    f"DaemonSet.apps aws-node - {AGENT}.image",
    'DaemonSet.apps aws-node - .spec.template.spec.initContainers[name="aws-vpc-cni-init"].image',
)
LEVEL_CONFLICT = f'{HEADER}\nDaemonSet.apps aws-node - {AGENT}.env[name="{LEVEL}"].value'


@dataclass
class Creation:
    """What the procedure for creating the add-on printed, and what the cluster was before and after."""

    version: Outcome
    not_managed: Outcome
    saved: Outcome
    accepted: Outcome
    failed: dict[str, Any]
    untouched: bool
    again: Outcome
    overwriting: Outcome
    shown_early: Outcome
    created: dict[str, Any]
    env: dict[str, str]
    role: str


@dataclass
class Updating:
    """The same of the procedure for updating it, from the old version, with a setting made by kubectl."""

    before: Outcome
    schema: dict[str, Any]
    accepted: dict[str, Any]
    preserved: dict[str, Any]
    env: dict[str, str]
    refused: dict[str, Any]
    refused_unsaid: dict[str, Any]
    after_refusal: dict[str, Any]
    reset: dict[str, Any]
    env_reset: dict[str, str]


@dataclass
class SelfManaging:
    """The same of the procedure for self-managed installations, after the add-on was given back."""

    deleted: dict[str, Any]
    left_alone: bool
    not_managed: Outcome
    before: Outcome
    fetched: str
    applied: Outcome
    after: Outcome
    env: dict[str, str]


def create(customer: Customer) -> Creation:
    version, not_managed, saved = (customer.shell(line) for line in (SHOW_VERSION, SHOW_MANAGED, SAVE))
    before = customer.daemon_set()["metadata"]["generation"]
    accepted = customer.shell(CREATE)
    failed = customer.settled()
    untouched = customer.daemon_set()["metadata"]["generation"] == before
    again = customer.shell(f"{CREATE} --resolve-conflicts OVERWRITE")
    customer.delete("--preserve")
    overwriting = customer.shell(f"{CREATE} --resolve-conflicts OVERWRITE")
    return Creation(
        version=version,
        not_managed=not_managed,
        saved=saved,
        accepted=accepted,
        failed=failed,
        untouched=untouched,
        again=again,
        overwriting=overwriting,
        shown_early=customer.shell(SHOW_MANAGED),
        created=customer.settled(),
        env=customer.env(),
        role=role_of(customer),
    )


def role_of(customer: Customer) -> str:
    account = json.loads(customer.must("kubectl get serviceaccount aws-node -n kube-system -o json"))
    return str(account["metadata"].get("annotations", {}).get("eks.amazonaws.com/role-arn", ""))


def update(customer: Customer) -> Updating:
    names = f"--cluster-name {CLUSTER} --addon-name vpc-cni --service-account-role-arn {ROLE_ARN}"
    customer.update(f"{names} --addon-version {OLD} --resolve-conflicts OVERWRITE")
    before = customer.shell(SHOW_MANAGED_QUOTED)
    customer.must(f"kubectl set env daemonset/aws-node -n kube-system -c aws-node {LEVEL}=INFO")
    customer.must(SAVE)
    schema = json.loads(customer.must(SHOW_SCHEMA))
    words = UPDATE.removeprefix("aws eks update-addon ")
    accepted = json.loads(customer.must(UPDATE))["update"]
    customer.settled()
    preserved, env = json.loads(customer.must(DESCRIBE)), customer.env()
    without_values = words[: words.index(" --configuration-values")]
    refused = customer.update(without_values.replace("PRESERVE", "none"))
    refused_unsaid = customer.update(without_values.replace(" --resolve-conflicts PRESERVE", ""))
    after_refusal = customer.addon()
    emptied = words.replace('{"env":{"AWS_VPC_K8S_CNI_EXTERNALSNAT":"true"}}', "{}")
    customer.update(emptied.replace("PRESERVE", "OVERWRITE"))
    return Updating(
        before=before,
        schema=schema,
        accepted=accepted,
        preserved=preserved,
        env=env,
        refused=refused,
        refused_unsaid=refused_unsaid,
        after_refusal=after_refusal,
        reset=customer.addon(),
        env_reset=customer.env(),
    )


def manage_oneself(customer: Customer) -> SelfManaging:
    before = identities(customer)
    deleted = customer.delete("--preserve")
    left_alone = identities(customer) == before
    customer.must("kubectl apply -f old.yaml")
    not_managed, version = (customer.shell(line) for line in (SHOW_MANAGED, SHOW_VERSION))
    customer.must(SAVE)
    customer.must(FETCH.replace(PUBLISHER, customer.url))
    file = customer.folder / "aws-k8s-cni.yaml"
    fetched = file.read_text()
    file.write_text(with_variables(fetched, customer.place))
    applied = customer.shell(APPLY)
    customer.wait()
    return SelfManaging(
        deleted=deleted,
        left_alone=left_alone,
        not_managed=not_managed,
        before=version,
        fetched=fetched,
        applied=applied,
        after=customer.shell(SHOW_VERSION),
        env=customer.env(),
    )


def identities(customer: Customer) -> tuple[int, dict[str, str]]:
    """Return what the DaemonSet and its pods are known by: the same as long as nobody touches them."""
    pods = {node: pod["metadata"]["uid"] for node, pod in agent_pods(customer.lab).items()}
    return customer.daemon_set()["metadata"]["generation"], pods


def with_variables(manifest: str, variables: dict[str, str]) -> str:
    """Put variables of the agent into a manifest, as an editor does."""
    head, first, rest = manifest.partition("        - name: aws-node\n")
    before, env, after = rest.partition("          env:\n")
    assert first, manifest
    assert env, manifest
    lines = (f'            - name: {name}\n              value: "{value}"\n' for name, value in variables.items())
    return head + first + before + env + "".join(lines) + after


@dataclass
class Walk:
    creation: Creation
    updating: Updating
    self_managing: SelfManaging


@pytest.fixture(scope="module")
def customer(addon_lab: Lab, image_archive: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Customer]:
    folder = tmp_path_factory.mktemp("customer")
    addon_lab.kubernetes.load(*(name_images(image_archive, folder, version) for version in (OLD, NEW, PLAIN)))
    with serving(addon_lab, folder) as made:
        yield made
        restore(addon_lab, image_archive, *PODS.values())


@pytest.fixture(scope="module")
def walk(customer: Customer, figures: Figures) -> Walk:
    """Walk through all three procedures under traffic between pods of both nodes, which loses nothing."""
    lab = customer.lab
    customer.must("kubectl delete daemonset aws-node -n kube-system")  # else it would roll node by node
    customer.install_old()
    customer.hurry()
    customer.must(f"kubectl set env daemonset/aws-node -n kube-system -c aws-node {SNAT}=true MY_OWN=x=y")
    customer.wait()
    for node, name in PODS.items():
        start_pods(lab, name, 1, node)
    pods = [running(lab, f"app={name}")[0] for name in PODS.values()]
    started = time.monotonic()
    with traffic(lab, *pods) as (pings, stream):
        made = Walk(create(customer), update(customer), manage_oneself(customer))
    figures["seed_walk_seconds"] = time.monotonic() - started
    figures["seed_walk_packets_lost"] = pings.lost
    assert_nothing_lost(pings, stream)
    now = [running(lab, f"app={name}")[0] for name in PODS.values()]
    assert [pod["metadata"]["uid"] for pod in now] == [pod["metadata"]["uid"] for pod in pods]
    assert [restarts(lab, f"app={name}") for name in PODS.values()] == [0, 0]
    return made


def error(operation: str, code: str, message: str) -> str:
    return f"\nAn error occurred ({code}) when calling the {operation} operation: {message}\n"


NOT_MANAGED = error("DescribeAddon", "ResourceNotFoundException", "No addon: vpc-cni found in cluster: my-cluster")


def test_the_guide_finds_a_self_managed_installation(walk: Walk, customer: Customer) -> None:
    creation = walk.creation
    assert creation.version.out == f"{OLD}\n"
    assert (creation.not_managed.status, creation.not_managed.out) == (255, "")
    assert creation.not_managed.err == NOT_MANAGED
    assert (creation.saved.status, creation.saved.out) == (0, "")


def test_creating_it_over_settings_of_others_fails_and_names_them(walk: Walk) -> None:
    creation = walk.creation
    assert creation.accepted.document["addon"]["status"] == "CREATING"
    assert creation.failed["status"] == "CREATE_FAILED"
    (issue,) = creation.failed["health"]["issues"]
    assert (issue["code"], issue["message"].splitlines()) == ("ConfigurationConflict", list(CONFLICTS))
    assert creation.untouched
    assert creation.again.err == error("CreateAddon", "ResourceInUseException", "Addon already exists.")


def test_creating_it_with_overwrite_makes_defaults_of_all_but_settings_it_does_not_know(
    walk: Walk, customer: Customer
) -> None:
    creation = walk.creation
    assert creation.overwriting.document["addon"]["status"] == "CREATING"
    assert creation.shown_early.out == f"{NEW}\n"
    assert (creation.created["status"], creation.created["health"]) == ("ACTIVE", {"issues": []})
    assert creation.env.items() >= {SNAT: "false", "MY_OWN": "x=y", **customer.place}.items()
    assert creation.role == ROLE_ARN


def test_the_schema_names_the_settings(walk: Walk) -> None:
    assert list(walk.updating.schema)[:3] == ["addonName", "addonVersion", "configurationSchema"]
    schema = json.loads(walk.updating.schema["configurationSchema"])
    assert schema["definitions"]["Env"]["properties"][SNAT] == {"format": "boolean", "type": "string"}


def test_an_update_with_preserve_takes_configuration_values_and_keeps_settings(walk: Walk) -> None:
    updating = walk.updating
    assert updating.before.out == f"{OLD}\n"
    assert (updating.accepted["status"], updating.accepted["errors"]) == ("InProgress", [])
    assert [(each["type"], each["value"]) for each in updating.accepted["params"]] == [
        ("AddonVersion", NEW),
        ("ServiceAccountRoleArn", ROLE_ARN),
        ("ResolveConflicts", "PRESERVE"),
        ("ConfigurationValues", '{"env":{"AWS_VPC_K8S_CNI_EXTERNALSNAT":"true"}}'),
    ]
    assert updating.env.items() >= {SNAT: "true", LEVEL: "INFO", "MY_OWN": "x=y"}.items()


def test_the_answer_after_the_update_is_that_of_the_guide(walk: Walk) -> None:
    shown, example = walk.updating.preserved["addon"], EXAMPLE["addon"]
    assert list(walk.updating.preserved) == list(EXAMPLE)
    assert list(shown) == list(example), "the order too"
    assert {name: shown[name] for name in example if name not in ANY} == {
        name: example[name] for name in example if name not in ANY
    }
    assert re.fullmatch(ARN, shown["addonArn"])
    assert isinstance(shown["createdAt"], float)
    assert shown["createdAt"] < shown["modifiedAt"]


def test_an_update_with_none_or_without_the_option_fails_and_changes_nothing(walk: Walk) -> None:
    updating = walk.updating
    for refused in (updating.refused, updating.refused_unsaid):
        assert refused["status"] == "Failed"
        (found,) = refused["errors"]
        assert (found["errorCode"], found["errorMessage"]) == ("ConfigurationConflict", LEVEL_CONFLICT)
    assert updating.after_refusal["status"] == "UPDATE_FAILED"
    assert updating.after_refusal["configurationValues"] == '{"env":{"AWS_VPC_K8S_CNI_EXTERNALSNAT":"true"}}'


def test_empty_values_with_overwrite_bring_the_defaults_back(walk: Walk) -> None:
    updating = walk.updating
    assert (updating.reset["status"], updating.reset["health"]) == ("ACTIVE", {"issues": []})
    assert updating.reset["configurationValues"] == "{}"
    assert updating.env_reset.items() >= {SNAT: "false", LEVEL: "DEBUG", "MY_OWN": "x=y"}.items()


def test_a_preserving_deletion_touches_nothing(walk: Walk) -> None:
    assert walk.self_managing.deleted["status"] == "DELETING"
    assert walk.self_managing.left_alone


def test_the_published_manifest_updates_a_self_managed_installation(walk: Walk, customer: Customer) -> None:
    own = walk.self_managing
    assert (own.not_managed.status, own.not_managed.err) == (255, NOT_MANAGED)
    assert own.before.out == f"{OLD}\n"
    assert f'image: "localhost/amazon-k8s-cni:{PLAIN}"' in own.fetched
    assert sorted(own.applied.out.splitlines()) == [
        "clusterrole.rbac.authorization.k8s.io/aws-node configured",
        "clusterrolebinding.rbac.authorization.k8s.io/aws-node configured",
        "configmap/amazon-vpc-cni configured",
        "customresourcedefinition.apiextensions.k8s.io/eniconfigs.crd.k8s.amazonaws.com configured",
        "daemonset.apps/aws-node configured",
        "serviceaccount/aws-node configured",
    ]
    assert own.after.out == f"{PLAIN}\n"
    assert own.env.items() >= {**customer.place, "MY_OWN": "x=y"}.items()
