"""Answers to an API server's questions about pods."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpc_cni.addons.webhook import Identity, answer_review
from vpc_cni.errors import CallerError, KubernetesUnreachableError

IDENTITY = Identity("arn:aws:iam::111122223333:role/a")


def review(pod: Any, **request: Any) -> bytes:
    asked = {"uid": "u-1", "namespace": "kube-system", "object": pod, **request}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}).encode()


POD = {"metadata": {"name": "x"}, "spec": {"serviceAccountName": "aws-node", "containers": [{"name": "a"}]}}


def test_a_pod_of_an_account_with_a_role_is_patched() -> None:
    asked: list[tuple[str, str]] = []

    def find(namespace: str, name: str) -> Identity:
        asked.append((namespace, name))
        return IDENTITY

    answer = answer_review(review(POD), find, "us-west-2")
    assert asked == [("kube-system", "aws-node")]
    assert answer["response"]["uid"] == "u-1"
    assert answer["response"]["patchType"] == "JSONPatch"
    patch = json.loads(base64.b64decode(answer["response"]["patch"]))
    assert patch[-1]["path"] == "/spec/volumes"


def test_other_pods_are_allowed_as_they_are() -> None:
    assert answer_review(review(POD), lambda *_: None, "")["response"] == {"uid": "u-1", "allowed": True}


def test_an_account_that_cannot_be_read_is_a_warning() -> None:
    def find(namespace: str, name: str) -> Identity:
        raise KubernetesUnreachableError(f"cannot read {namespace}/{name}")

    response = answer_review(review(POD), find, "")["response"]
    assert response["allowed"]
    assert "patch" not in response
    assert response["warnings"] == ["no IAM role was injected: cannot read kube-system/aws-node"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {"uid": "1", "object": {}}}',
        review([]),
        review(POD, uid=3),
        review({"spec": "x"}),
    ],
)
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(CallerError):
        answer_review(body, lambda *_: IDENTITY, "")


@given(st.binary(max_size=200))
def test_no_bytes_are_a_crash(body: bytes) -> None:
    with pytest.raises(CallerError):
        answer_review(body, lambda *_: IDENTITY, "")
