"""Reviews that no API server makes: anybody who reaches the port may send one."""

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpc_cni.addons.webhook import Identity, answer_review
from vpc_cni.errors import CallerError

IDENTITY = Identity("arn:aws:iam::111122223333:role/a")
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(good, good, good, _ANYTHING)


_NAMED = mostly(st.fixed_dictionaries({"name": mostly(st.sampled_from(["a", "AWS_ROLE_ARN", "aws-iam-token"]))}))
_LISTED = mostly(st.lists(_NAMED, max_size=2))
_CONTAINER = mostly(
    st.fixed_dictionaries({"name": mostly(st.just("a"))}, optional={"env": _LISTED, "volumeMounts": _LISTED})
)
_CONTAINERS = mostly(st.lists(_CONTAINER, max_size=2))
_ANNOTATIONS = st.dictionaries(st.sampled_from(["skip-containers", "token-expiration"]), _ANYTHING, max_size=2)
_PODS = st.fixed_dictionaries(
    {
        "spec": st.fixed_dictionaries(
            {}, optional={"containers": _CONTAINERS, "initContainers": _CONTAINERS, "volumes": _LISTED}
        )
    },
    optional={
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "annotations": mostly(
                    _ANNOTATIONS.map(lambda found: {f"eks.amazonaws.com/{key}": value for key, value in found.items()})
                )
            },
        )
    },
)


def review(pod: Any, namespace: Any = "kube-system") -> bytes:
    asked = {"uid": "u-1", "namespace": namespace, "object": pod}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}).encode()


@pytest.mark.parametrize(
    ("namespace", "account"),
    [
        ("team", "../../kube-system/serviceaccounts/aws-node"),
        ("team", "..%2f..%2fkube-system"),
        ("team", "a?watch=true"),
        ("team", "a#b"),
        ("team", "a/b"),
        ("team", "."),
        ("team", "a..b"),
        ("team", "A"),
        ("team", "a\n"),
        ("team", "a" * 254),
        ("../..", "a"),
        ("team/serviceaccounts/b", "a"),
        ("a.b", "a"),
        ("a" * 64, "a"),
    ],
)
def test_names_that_would_lead_elsewhere_are_not_asked_for(namespace: str, account: str) -> None:
    def find(*asked: str) -> Identity:
        raise AssertionError(asked)

    pod = {"spec": {"serviceAccountName": account, "containers": [{"name": "a"}]}}
    assert answer_review(review(pod, namespace), find, "")["response"] == {"uid": "u-1", "allowed": True}


@pytest.mark.parametrize("account", ["a", "aws-node", "a.b-c.d", "0", "a" * 253])
def test_names_that_there_can_be_are(account: str) -> None:
    asked = []
    pod = {"spec": {"serviceAccountName": account, "containers": [{"name": "a"}]}}
    answer_review(review(pod, "team-1"), lambda *names: asked.append(names), "")
    assert asked == [("team-1", account)]


@settings(max_examples=300, deadline=None)
@given(pod=_PODS)
def test_any_object_gets_an_answer_or_a_refusal(pod: Any) -> None:
    with suppress(CallerError):
        answer_review(review(pod), lambda *_: IDENTITY, "us-west-2")


@pytest.mark.parametrize(
    "pod",
    [
        {"spec": {"containers": "x"}},
        {"spec": {"containers": [1]}},
        {"spec": {"containers": [{"name": []}]}},
        {"spec": {"containers": [{"name": "a", "env": [1]}]}},
        {"spec": {"containers": [{"name": "a", "env": [{"name": {}}]}]}},
        {"spec": {"containers": [{"name": "a"}], "volumes": [None]}},
        {"metadata": {"annotations": "x"}, "spec": {"containers": [{"name": "a"}]}},
        {
            "metadata": {"annotations": {"eks.amazonaws.com/token-expiration": 5}},
            "spec": {"containers": [{"name": "a"}]},
        },
    ],
)
def test_what_is_no_pod_is_refused_in_words(pod: Any) -> None:
    with pytest.raises(CallerError):
        answer_review(review(pod), lambda *_: IDENTITY, "")


@pytest.mark.parametrize("missing", [{}, {"env": None}, {"env": []}, {"volumeMounts": None}])
@pytest.mark.parametrize("volumes", [{}, {"volumes": None}, {"volumes": []}])
def test_lists_that_are_missing_are_made(missing: dict[str, Any], volumes: dict[str, Any]) -> None:
    """An addition to the end of a list that is not there would fail the whole patch (RFC 6902, section 4.1)."""
    pod: dict[str, Any] = {"spec": {"containers": [{"name": "a", **missing}], **volumes}}
    response = answer_review(review(pod), lambda *_: IDENTITY, "")["response"]
    patch = json.loads(base64.b64decode(response["patch"]))
    assert {each["path"] for each in patch} == {
        "/spec/containers/0/env",
        "/spec/containers/0/volumeMounts",
        "/spec/volumes",
    }
    assert all(isinstance(each["value"], list) for each in patch)
