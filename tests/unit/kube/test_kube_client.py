"""Requests against a real TLS server: paging, patches, Events, refusals, and who is trusted."""

import datetime
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.errors import (
    ConfigurationError,
    KubernetesConflictError,
    KubernetesDeniedError,
    KubernetesError,
    KubernetesNotFoundError,
    KubernetesThrottledError,
    KubernetesUnreachableError,
)
from vpc_cni.kube import (
    NODES,
    PODS,
    ClusterAccess,
    EventBook,
    EventType,
    KubeClient,
    Limits,
    NodeCondition,
    ObjectReference,
    Occurrence,
    Timing,
    own_pods,
)
from vpc_cni.lab.kubernetes.pki import Authority, Subject

Json = dict[str, Any]


def pod(name: str, node: str = "node-1", uid: str = "") -> Json:
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": uid or f"uid-{name}"},
        "spec": {"nodeName": node, "hostNetwork": False, "containers": []},
        "status": {"phase": "Running", "podIP": "10.0.0.9"},
    }


class Waits(threading.Event):
    """The agent's stop, never set: notes what is waited for instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0.0)
        return False


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def patient(access: ClusterAccess, waits: Waits) -> KubeClient:
    return KubeClient(access, timing=timing_of(waits))


def timing_of(waits: Waits) -> Timing:
    return Timing(chance=lambda: 0.5, stopping=waits)


def test_an_object_is_read_with_the_needed_fields_only(
    server: Any, client: KubeClient, node: Callable[..., Json]
) -> None:
    server.put("nodes", node(cordoned=True))
    found = client.get(NODES, "node-1")
    assert (found.metadata.uid, found.spec.unschedulable) == ("uid-node-1", True)
    assert found.status.allocatable is not None
    assert found.status.allocatable.pods == "29"
    assert not hasattr(found.status, "images")


def test_a_list_comes_in_pages_and_holds_only_what_was_selected(server: Any, client: KubeClient) -> None:
    for number in range(450):
        server.put("pods", pod(f"p{number:03}", "node-1" if number < 445 else "node-2"), namespace="shop")
    listing = client.list(own_pods("node-1"))
    assert [each.metadata.name for each in listing.items] == [f"p{number:03}" for number in range(445)]
    assert listing.resource_version == str(server.version)
    assert len(server.requests("list")) == 3


def test_a_list_whose_pages_expire_is_fetched_in_one_piece(server: Any, client: KubeClient) -> None:
    for number in range(201):
        server.put("pods", pod(f"p{number}"), namespace="shop")

    def first_page(handler: Any) -> None:
        server.faults["list"].append(lambda later: later.refuse(410, "Expired"))
        handler.answer(200, {"metadata": {"continue": "200", "resourceVersion": "1"}, "items": [pod("p0")]})

    server.faults["list"].append(first_page)
    assert len(client.list(own_pods("node-1")).items) == 201
    assert "limit" not in server.requests("list")[-1]


def test_an_empty_list_that_go_writes_as_null(server: Any, client: KubeClient) -> None:
    assert client.list(own_pods("nobody")).items == ()


def test_annotations_are_set_and_removed_and_others_stay(server: Any, client: KubeClient) -> None:
    document = pod("web")
    document["metadata"]["annotations"] = {"theirs": "stays", "old": "goes"}
    server.put("pods", document, namespace="shop")
    patched = client.patch_annotations(PODS, "web", {"ours": "10.0.0.9", "old": None}, namespace="shop", uid="uid-web")
    assert patched.metadata.annotations == {"theirs": "stays", "ours": "10.0.0.9"}


def test_the_successor_of_a_pod_is_not_annotated(server: Any, client: KubeClient) -> None:
    server.put("pods", pod("web-0", uid="new"), namespace="shop")
    with pytest.raises(KubernetesConflictError):
        client.patch_annotations(PODS, "web-0", {"ours": "x"}, namespace="shop", uid="old")
    assert "annotations" not in server.objects["pods", "shop", "web-0"]["metadata"]


def test_a_node_condition_is_patched_by_type(server: Any, client: KubeClient) -> None:
    seen: list[tuple[str, str]] = []

    def read(handler: Any) -> None:
        seen.append((handler.path, handler.headers["Content-Type"]))
        handler.answer(200, {})

    server.faults["other"].append(read)
    client.patch_node_condition("node-1", NodeCondition("NetworkUnavailable", "False", "Serving", "ok", "t1", "t2"))
    ((path, content_type),) = seen
    assert path == "/api/v1/nodes/node-1/status"
    assert content_type == "application/strategic-merge-patch+json"


def test_an_event_is_created_then_patched_and_a_repeated_creation_is_no_error(server: Any, client: KubeClient) -> None:
    book = EventBook("node-1", unique=lambda: "1", wall=lambda: datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    about = ObjectReference("Pod", "web", "shop", "uid-web")
    book.note(Occurrence(about, EventType.WARNING, "SubnetFull", "subnet-1 is full"))
    first = book.take(0)
    assert first is not None
    client.create_event(first.event)
    client.create_event(first.event)
    book.note(Occurrence(about, EventType.WARNING, "SubnetFull", "still full"))
    again = book.take(100)
    assert again is not None
    client.patch_event("shop", again.event.metadata.name, again.patch)
    written = server.objects["events", "shop", "web.1"]
    assert (written["count"], written["message"], written["reason"]) == (2, "still full", "SubnetFull")
    assert written["involvedObject"] == {
        "kind": "Pod",
        "name": "web",
        "namespace": "shop",
        "uid": "uid-web",
        "apiVersion": "v1",
    }
    assert written["lastTimestamp"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("status", "error", "hint"),
    [
        (401, KubernetesDeniedError, "service account"),
        (403, KubernetesDeniedError, 'the verb "get" on "nodes"'),
        (404, KubernetesNotFoundError, ""),
        (409, KubernetesConflictError, ""),
        (422, KubernetesError, ""),
    ],
)
def test_a_refusal_for_good_is_typed_and_not_repeated(
    server: Any, client: KubeClient, status: int, error: type[KubernetesError], hint: str
) -> None:
    server.faults["other"].append(lambda handler: handler.refuse(status, "Reason", "because"))
    with pytest.raises(error) as caught:
        client.get(NODES, "node-1")
    assert (caught.value.status, caught.value.reason) == (status, "Reason")
    assert hint in caught.value.hint
    assert "because" in caught.value.message
    assert len(server.requests("get")) == 1


def test_retry_after_is_kept_to(server: Any, access: ClusterAccess, waits: Waits, node: Callable[..., Json]) -> None:
    server.put("nodes", node())
    server.faults["other"] += [
        lambda handler: handler.refuse(429, "TooManyRequests", Retry_After="7"),
        lambda handler: handler.answer(429, {"details": {"retryAfterSeconds": 3}}),
    ]
    assert KubeClient(access, timing=timing_of(waits)).get(NODES, "node-1").metadata.name == "node-1"
    assert [7 <= waits.pauses[0] < 8, 3 <= waits.pauses[1] < 4] == [True, True]


def test_a_server_that_stays_overloaded_is_given_up(server: Any, access: ClusterAccess, waits: Waits) -> None:
    for _ in range(10):
        server.faults["other"].append(lambda handler: handler.refuse(429, "TooManyRequests"))
    with pytest.raises(KubernetesThrottledError):
        KubeClient(access, timing=timing_of(waits)).get(NODES, "node-1")
    assert len(server.requests("get")) == 4


def test_a_wait_longer_than_patience_is_not_begun(server: Any, access: ClusterAccess, waits: Waits) -> None:
    server.faults["other"].append(lambda handler: handler.refuse(429, "TooManyRequests", Retry_After="200"))
    with pytest.raises(KubernetesThrottledError) as caught:
        KubeClient(access, timing=timing_of(waits)).get(NODES, "node-1")
    assert caught.value.retry_after_seconds == 200
    assert waits.pauses == []


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda handler: handler.cut(), id="cut"),
        pytest.param(lambda handler: handler.answer(503, b"no endpoints"), id="503 of a load balancer"),
    ],
)
def test_what_may_pass_is_tried_again(
    server: Any, patient: KubeClient, node: Callable[..., Json], fault: Callable[[Any], None]
) -> None:
    server.put("nodes", node())
    server.faults["other"].append(fault)
    assert patient.get(NODES, "node-1").metadata.name == "node-1"
    assert len(server.requests("get")) == 2


def test_a_page_of_a_proxy_is_malformed(server: Any, client: KubeClient) -> None:
    server.faults["other"].append(lambda handler: handler.answer(200, b"<html>login</html>"))
    with pytest.raises(KubernetesError, match="not what the Kubernetes API promises"):
        client.get(NODES, "node-1")


def test_an_answer_without_end_is_cut_off(server: Any, client: KubeClient) -> None:
    server.faults["other"].append(lambda handler: handler.answer(200, b" " * 60_000))
    server.faults["other"].append(lambda handler: handler.refuse(404, "NotFound"))
    with pytest.raises(KubernetesNotFoundError):
        client.get(NODES, "node-1")


def test_a_stranger_is_not_trusted_and_told_from_one_that_is_away(
    server: Any, access: ClusterAccess, waits: Waits
) -> None:
    stranger = Authority(datetime.datetime.now(datetime.UTC)).pair.certificate.decode()
    with pytest.raises(KubernetesUnreachableError, match="not trusted"):
        KubeClient(replace(access, ca_data=stranger), timing=timing_of(waits)).get(NODES, "node-1")
    with pytest.raises(KubernetesUnreachableError, match="was not reached"):
        KubeClient(replace(access, server="https://127.0.0.1:1"), timing=timing_of(waits)).get(NODES, "node-1")
    assert server.seen == []


def test_a_new_authority_is_taken_up_from_its_file(
    server: Any, access: ClusterAccess, waits: Waits, authority: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "ca.crt"
    file.write_bytes(Authority(datetime.datetime.now(datetime.UTC)).pair.certificate)
    client = KubeClient(replace(access, ca_data="", ca_file=file), timing=timing_of(waits))
    with pytest.raises(KubernetesUnreachableError):
        client.get(NODES, "node-1")
    file.write_bytes(authority.pair.certificate)
    with pytest.raises(KubernetesNotFoundError):
        client.get(NODES, "node-1")


def test_a_token_is_read_again_when_its_file_changes(
    server: Any, access: ClusterAccess, waits: Waits, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("a-token\n")
    client = KubeClient(replace(access, token="", token_file=file), timing=timing_of(waits))
    server.tokens = {"a-token"}
    with pytest.raises(KubernetesNotFoundError):
        client.get(NODES, "n")
    server.tokens = {"rotated-token"}
    with pytest.raises(KubernetesDeniedError):
        client.get(NODES, "n")
    fresh = tmp_path / "fresh"
    fresh.write_text("rotated-token")
    fresh.rename(file)
    with pytest.raises(KubernetesNotFoundError):
        client.get(NODES, "n")


def test_an_authority_that_is_none_is_a_matter_of_configuration(access: ClusterAccess) -> None:
    with pytest.raises(ConfigurationError, match="certificates for https"):
        KubeClient(replace(access, ca_data="no certificate")).get(NODES, "n")


def test_a_client_certificate_is_shown(
    server: Any, access: ClusterAccess, authority: Authority, node: Callable[..., Json]
) -> None:
    pair = authority.issue(Subject("agent", "system:nodes", addresses=(IPv4Address("127.0.0.1"),)))
    server.put("nodes", node())
    client = KubeClient(replace(access, certificate=pair.certificate, key=pair.key), limits=Limits(answer_seconds=2))
    assert client.get(NODES, "node-1").metadata.name == "node-1"
    with pytest.raises(ConfigurationError):
        KubeClient(replace(access, certificate=pair.certificate, key=b"no key")).get(NODES, "node-1")


def test_secrets_stay_out_of_messages(server: Any, access: ClusterAccess, waits: Waits) -> None:
    server.tokens = {"other"}
    with pytest.raises(KubernetesDeniedError) as caught:
        KubeClient(access, timing=timing_of(waits)).get(NODES, "n")
    assert access.token not in json.dumps([str(caught.value), repr(access)])
