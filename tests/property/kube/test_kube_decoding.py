"""Whatever bytes a server sends: an object, or one typed error. Never another exception, never a wrong type."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpc_cni.errors import KubernetesError
from vpc_cni.kube.failures import error_of
from vpc_cni.kube.objects import MALFORMED, Node, Page, Pod, Status, WatchLine, decode
from vpc_cni.kube.resources import ApiRequest

KINDS = st.sampled_from([Node, Pod, Page[Node], Page[Pod], Status, WatchLine])
REQUEST = ApiRequest("GET", "/api/v1/nodes", "list", "nodes")
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
_PLACES = ["metadata", "spec", "status", "taints", "labels", "annotations", "items", "object", "allocatable", "details"]
_FIELDS = [
    "name",
    "key",
    "type",
    "unschedulable",
    "pods",
    "hostNetwork",
    "podIP",
    "resourceVersion",
    "continue",
    "code",
]
NAMES = st.sampled_from([*_PLACES, *_FIELDS])
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=6),
    max_leaves=25,
)


def decode_or_refuse(data: bytes, kind: Any) -> object:
    """Return the object, or the reason of the one error that is allowed."""
    try:
        return decode(data, kind, "test")
    except KubernetesError as err:
        return err.reason


def is_right(outcome: object, kind: Any) -> bool:
    return outcome == MALFORMED or isinstance(outcome, getattr(kind, "__origin__", kind))


@given(st.binary(max_size=300), KINDS)
def test_any_bytes_are_an_object_or_malformed(data: bytes, kind: Any) -> None:
    assert is_right(decode_or_refuse(data, kind), kind)


@given(DOCUMENTS, KINDS)
def test_any_json_is_an_object_or_malformed(document: object, kind: Any) -> None:
    assert is_right(decode_or_refuse(json.dumps(document).encode(), kind), kind)


@given(DOCUMENTS, st.data())
def test_an_object_cut_or_overwritten_anywhere_is_an_object_or_malformed(document: object, data: st.DataObject) -> None:
    whole = json.dumps({"metadata": {"name": "n", "uid": "u"}, "spec": {"taints": None}, "status": document}).encode()
    at = data.draw(st.integers(0, len(whole)))
    for broken in (whole[:at], whole[:at] + data.draw(st.binary(min_size=1, max_size=3)) + whole[at + 1 :]):
        assert is_right(decode_or_refuse(broken, Node), Node)


@given(st.booleans(), st.lists(st.text(max_size=10), max_size=4), st.dictionaries(st.text(), DOCUMENTS, max_size=4))
def test_fields_that_nobody_needs_change_nothing(cordoned: bool, taints: list[str], others: dict[str, object]) -> None:
    spec = {"unschedulable": cordoned, "taints": [{"key": each, "timeAdded": "x"} for each in taints]}
    known = {"metadata": {"name": "n"}, "spec": spec}
    plain = decode(msgspec.json.encode(known), Node, "test")
    full = decode(msgspec.json.encode({**{f"x-{key}": value for key, value in others.items()}, **known}), Node, "test")
    assert full == plain
    assert [each.key for each in plain.spec.taints] == taints


@pytest.mark.parametrize("opening", [b"[", b'{"spec":', b'{"metadata":{"labels":'])
def test_nesting_without_end_is_malformed(opening: bytes) -> None:
    assert decode_or_refuse(opening * 200_000, Node) == MALFORMED


@given(
    st.integers(400, 599), st.binary(max_size=200) | DOCUMENTS.map(lambda each: json.dumps(each).encode()), st.text()
)
def test_any_refusal_becomes_an_error_of_the_tree(status: int, body: bytes, retry_after: str) -> None:
    error = error_of(REQUEST, status, body, retry_after)
    assert error.status == status
    assert 0 <= error.retry_after_seconds <= 300
    assert str(status) in str(error)
