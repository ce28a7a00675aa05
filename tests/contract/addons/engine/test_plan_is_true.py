"""What a plan foretells of each field is what happens: generated edits, versions, values and modes, one seed."""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.addons.engine.conftest import OBJECTS
from vpc_cni.addons.engine.target import render_desired
from vpc_cni.addons.model import ConflictMode
from vpc_cni.cluster.applying import Mode, Outcome
from vpc_cni.cluster.fields import ABSENT, find_field
from vpc_cni.cluster.installed import plain_form
from vpc_cni.cluster.inventory import (
    ADDON_OBJECTS,
    AGENT,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    DAEMON_SETS,
    SERVICE_ACCOUNTS,
    Inventory,
    Reference,
)
from vpc_cni.cluster.trial import plan_apply, try_objects
from vpc_cni.errors import KubernetesError
from vpc_cni.manifests import (
    ChangeKind,
    find_changes,
    name_of,
    packaged_catalogue,
    parse_addon_version,
    strip_server_fields,
)

SEED = 20240131
COMBINATIONS = 100
ADOPTIONS = 12
VERSIONS = ("v1.12.6-eksbuild.2", "v1.15.1-eksbuild.1", "v1.16.2-eksbuild.1")
MANAGERS = ("kubectl-edit", "kubectl-set", "helm")
ROLE = "arn:aws:iam::111122223333:role/A"
DAEMON_SET = Reference(DAEMON_SETS, AGENT)
ENV = ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "WARM_IP_TARGET", "WARM_ENI_TARGET", "AWS_VPC_K8S_CNI_LOGLEVEL", "MINE")
Edit = Callable[[Any, random.Random], None]


def in_pod(**fields: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": fields}}}


def in_agent(**fields: Any) -> dict[str, Any]:
    return in_pod(containers=[{"name": "aws-node", **fields}])


def edit_daemon_set(make: Callable[[random.Random], dict[str, Any]]) -> Edit:
    def edit(cluster: Any, chance: random.Random) -> None:
        cluster.patch_strategic(DAEMON_SET, make(chance))

    return edit


def set_env(chance: random.Random) -> dict[str, Any]:
    entry = {"name": chance.choice(ENV), "value": chance.choice(("true", "false", "1", "2", "DEBUG"))}
    return in_agent(env=[entry])


def env_reference(chance: random.Random) -> dict[str, Any]:
    reference = {"fieldRef": {"fieldPath": "spec.nodeName"}}
    return in_agent(env=[{"name": chance.choice(ENV), "value": None, "valueFrom": reference}])


def edit_other(resource: Any, name: str, patch: dict[str, Any]) -> Edit:
    def edit(cluster: Any, chance: random.Random) -> None:
        reference = Reference(resource, name)
        if cluster.get(reference) is not None:
            cluster.patch_strategic(reference, patch)

    return edit


def apply_as_another(cluster: Any, chance: random.Random) -> None:
    """Share fields, as another tool that applies does: with the values of the add-on, or with its own."""
    live = cluster.get(DAEMON_SET)
    container = next(each for each in live["spec"]["template"]["spec"]["containers"] if each["name"] == "aws-node")
    cpu = chance.choice((container["resources"]["requests"]["cpu"], "33m"))
    fields = {"resources": {"requests": {"cpu": cpu}}, "image": container["image"]}
    head = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": AGENT, "namespace": "kube-system"}}
    cluster.apply({**head, **in_agent(**fields)}, force=True)


EDITS: tuple[Edit, ...] = (
    edit_daemon_set(set_env),
    edit_daemon_set(set_env),
    edit_daemon_set(env_reference),
    edit_daemon_set(lambda _: in_agent(env=[{"name": "MY_NODE_NAME", "value": "x", "valueFrom": None}])),
    edit_daemon_set(lambda chance: in_agent(env=[{"name": chance.choice(ENV), "$patch": "delete"}])),
    edit_daemon_set(lambda _: in_agent(image="a.example.com/other:1")),
    edit_daemon_set(lambda chance: in_agent(resources={"requests": {"cpu": chance.choice(("25m", "50m", "1000m"))}})),
    edit_daemon_set(lambda _: in_agent(resources={"limits": {"memory": "512Mi"}})),
    edit_daemon_set(lambda _: in_agent(livenessProbe={"timeoutSeconds": 33})),
    edit_daemon_set(lambda _: in_agent(readinessProbe={"exec": None, "tcpSocket": {"port": 50051}})),
    edit_daemon_set(lambda _: in_agent(volumeMounts=[{"mountPath": "/var/run/aws-node", "$patch": "delete"}])),
    edit_daemon_set(lambda _: in_pod(terminationGracePeriodSeconds=77)),
    edit_daemon_set(lambda _: in_pod(tolerations=[{"key": "mine", "operator": "Exists"}])),
    edit_daemon_set(lambda _: in_pod(volumes=[{"name": "run-dir", "hostPath": None, "emptyDir": {}}])),
    edit_daemon_set(lambda _: {"spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 1}}}}),
    edit_daemon_set(lambda _: {"metadata": {"labels": {"app.kubernetes.io/instance": "mine", "team": "net"}}}),
    edit_other(CONFIG_MAPS, "amazon-vpc-cni", {"data": {"enable-windows-ipam": "true", "mine": "1"}}),
    edit_other(CLUSTER_ROLES, AGENT, {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
    edit_other(SERVICE_ACCOUNTS, AGENT, {"metadata": {"annotations": {"eks.amazonaws.com/role-arn": "mine"}}}),
    apply_as_another,
)


def some_values(chance: random.Random) -> dict[str, Any] | None:
    env = {name: value for name, value in (("WARM_IP_TARGET", "3"), ("WARM_ENI_TARGET", "2")) if chance.random() < 0.5}
    values: dict[str, Any] = {"env": env} if env else {}
    if chance.random() < 0.3:
        values["resources"] = {"requests": {"cpu": chance.choice(("25m", "0.05", "1000m"))}}
    return values if values or chance.random() < 0.5 else None


def wish(chance: random.Random) -> dict[str, Any]:
    return {
        "version": chance.choice(VERSIONS),
        "values": some_values(chance),
        "role_arn": chance.choice((None, ROLE)),
    }


def live_objects(site: Any) -> dict[Any, Any]:
    found = (site.api.get(each) for each in ADDON_OBJECTS)
    return {name_of(each): strip_server_fields(each) for each in found if each is not None}


def value_at(objects: dict[Any, Any], name: Any, path: str) -> Any:
    value = find_field(objects.get(name, {}), path)
    return None if value is ABSENT else none_if_empty(value)


def none_if_empty(value: Any) -> Any:
    return None if value in ({}, [], "") else value


def differ(path: str, found: Any, shown: Any) -> bool:
    """Whether a live value is another than was foretold; amounts are compared as amounts."""
    field = "requests" if ".resources." in path else "field"
    return bool(find_changes({field: {"x": found}}, {field: {"x": shown}}, declared_only=shown is not None))


def change_as_planned(
    site: Any, target: dict[str, Any], mode: Mode, story: str, *, creating: bool
) -> tuple[int, int, int]:
    """Plan a change, make it, and compare; return how many fields were refused, written and kept."""
    profile = packaged_catalogue().find(parse_addon_version(target["version"]))
    wanted = render_desired(site.desired(**target), packaged_catalogue(), site.images)
    live = site.api.get(DAEMON_SET)
    base, _ = plain_form(Inventory((live,) if live else ()), packaged_catalogue(), profile)
    plan = plan_apply(site.api, try_objects(site.api, wanted, base), removing=not creating)
    before = live_objects(site)
    previous = "" if creating else VERSIONS[0]
    done = site.engine.install(site.api, site.desired(**target), ConflictMode(mode.value), previous)
    after = live_objects(site)
    is_refused = plan.is_refused(mode, creating=creating)
    assert [each.message for each in done.issues] == ([plan.conflict_message()] if is_refused else []), story
    expected, refused, written, kept = set(), int(is_refused), 0, 0
    for each in plan.objects:
        for one in each.fields:
            outcome = plan.outcome(one, mode, creating=creating)
            if outcome in (Outcome.SET, Outcome.REMOVED):
                expected.add((each.name, one.path))
                written += 1
                shown = one.target if outcome is Outcome.SET else None
            else:
                shown = one.live
                kept += one.claim != "foreign"
            # What the API server fills in of a new item is not foretold where no dry run could be had.
            assert not differ(one.path, value_at(after, each.name, one.path), none_if_empty(shown)), (story, one)
    happened = {
        (name, change.path)
        for name in before.keys() & after.keys()
        for change in find_changes(before[name], after[name])
        if not (change.kind is ChangeKind.ADDED and change.after == "")
    }
    assert happened == expected, story
    gone = set() if done.issues else {(each.kind, each.name) for each in plan.deletions}
    assert {(each.kind, each.name) for each in before.keys() - after.keys()} == gone, story
    return refused, written, kept


@contextlib.contextmanager
def other_managers(site: Any) -> Iterator[dict[str, Any]]:
    others = {manager: site.log_in("a-token-of-tests", manager) for manager in MANAGERS}
    yield others
    for each in others.values():
        each.close()


def edit_at_random(others: dict[str, Any], chance: random.Random) -> None:
    for _ in range(chance.randrange(5)):
        edit, other = chance.choice(EDITS), others[chance.choice(MANAGERS)]
        # An edit that the API server refuses is none.
        with contextlib.suppress(KubernetesError):
            edit(other, chance)


@pytest.mark.timeout(400)
def test_what_a_plan_foretells_is_what_happens(site: Any) -> None:
    chance = random.Random(SEED)  # noqa: S311 # no secret comes of it
    counts = [0, 0, 0]
    with other_managers(site) as others:
        for number in range(COMBINATIONS):
            if number % 4 == 0:
                assert site.update("OVERWRITE", **wish(chance)).issues == ()
            edit_at_random(others, chance)
            target, mode = wish(chance), chance.choice(tuple(Mode))
            story = f"combination {number}, {mode}, {target}"
            found = change_as_planned(site, target, mode, story, creating=False)
            counts = [sum(each) for each in zip(counts, found, strict=True)]
    assert min(counts) > COMBINATIONS // 10


@pytest.mark.timeout(400)
def test_what_a_plan_foretells_of_an_adoption_is_what_happens(site: Any, own_site: Any) -> None:
    """Objects of the reference's manifests, edited; the service deploys its own images or the reference's."""
    chance = random.Random(SEED)  # noqa: S311 # no secret comes of it
    counts = [0, 0, 0]
    with other_managers(site) as others:
        for number in range(ADOPTIONS):
            site.kubectl("delete", "--ignore-not-found", "--namespace=kube-system", "--now", *OBJECTS)
            version, service = chance.choice(VERSIONS), chance.choice((site, own_site))
            site.kubectl_apply_manifest(version)
            edit_at_random(others, chance)
            for _ in range(2):
                target, mode, creating = wish(chance), chance.choice(tuple(Mode)), chance.random() < 0.5
                story = f"adoption {number} of {version}, {mode}, own={service is own_site}, {creating=}, {target}"
                found = change_as_planned(service, target, mode, story, creating=creating)
                counts = [sum(each) for each in zip(counts, found, strict=True)]
    assert min(counts) > ADOPTIONS // 4
