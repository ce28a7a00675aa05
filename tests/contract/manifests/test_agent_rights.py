"""Each verb of the ClusterRole is needed: without it, one call of the agent's own client is refused."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from vpc_cni.errors import KubernetesDeniedError, KubernetesNotFoundError
from vpc_cni.kube import PODS, EventBook, EventType, KubeClient, ObjectReference, Occurrence, own_node
from vpc_cni.manifests import PolicyRule, encode_yaml, packaged_catalogue
from vpc_cni.manifests.access import ANNOTATE_RULE, OWN_RULES, cluster_role, cluster_role_binding, service_account

PROFILE = packaged_catalogue().default_profile()
RULES = (*OWN_RULES, ANNOTATE_RULE)
_PATIENCE_SECONDS = 10.0


def list_nodes(client: KubeClient) -> None:
    client.list(own_node("node-1"))


def watch_nodes(client: KubeClient) -> None:
    _request, stream = client.watch(own_node("node-1"), resource_version="", seconds=1)
    stream.abort()


def get_pod(client: KubeClient) -> None:
    with suppress(KubernetesNotFoundError):
        client.get(PODS, "no-such-pod", namespace="default")


def patch_pod(client: KubeClient) -> None:
    with suppress(KubernetesNotFoundError):
        client.patch_annotations(PODS, "no-such-pod", {"a": "b"}, namespace="default")


def event_to_write() -> Any:
    """Return an Event as the agent makes it."""
    book = EventBook("node-1", unique=lambda: str(time.monotonic_ns()), wall=lambda: datetime.now(UTC))
    about = ObjectReference("Pod", "a-pod", "default", "uid-1")
    book.note(Occurrence(about, EventType.WARNING, "SubnetFull", "no free address"))
    return book.take(time.monotonic())


def create_event(client: KubeClient) -> None:
    client.create_event(event_to_write().event)


def patch_event(client: KubeClient) -> None:
    write = event_to_write()
    with suppress(KubernetesNotFoundError):
        client.patch_event("default", write.event.metadata.name, write.patch)


CALLS: dict[tuple[str, str], Callable[[KubeClient], None]] = {
    ("nodes", "list"): list_nodes,
    ("nodes", "watch"): watch_nodes,
    ("pods", "get"): get_pod,
    ("pods", "patch"): patch_pod,
    ("events", "create"): create_event,
    ("events", "patch"): patch_event,
}


@pytest.fixture
def client(api_server: Any) -> Iterator[KubeClient]:
    found = KubeClient(api_server.agent_access())
    yield found
    found.close()


def grant(api_server: Any, rules: tuple[PolicyRule, ...]) -> None:
    objects = (service_account(PROFILE, ""), cluster_role(PROFILE, rules), cluster_role_binding(PROFILE))
    api_server.apply(encode_yaml(objects))


def is_allowed(call: Callable[[KubeClient], None], client: KubeClient) -> bool:
    try:
        call(client)
    except KubernetesDeniedError:
        return False
    return True


def comes_to_be(wanted: bool, call: Callable[[KubeClient], None], client: KubeClient) -> bool:
    """Whether a call is allowed, or refused, within some seconds: the server takes in a changed role a moment later."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while is_allowed(call, client) is not wanted:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def without(resource: str, verb: str) -> tuple[PolicyRule, ...]:
    return tuple(
        PolicyRule(rule.groups, rule.resources, tuple(each for each in rule.verbs if each != verb) or ("none",))
        if resource in rule.resources
        else rule
        for rule in RULES
    )


def test_there_is_a_call_for_each_verb() -> None:
    granted = {(resource, verb) for rule in RULES for resource in rule.resources for verb in rule.verbs}
    assert granted == set(CALLS)


@pytest.mark.parametrize(("resource", "verb"), CALLS)
def test_the_agent_needs_each_verb(api_server: Any, client: KubeClient, resource: str, verb: str) -> None:
    grant(api_server, RULES)
    assert comes_to_be(True, CALLS[resource, verb], client)
    grant(api_server, without(resource, verb))
    assert comes_to_be(False, CALLS[resource, verb], client)
