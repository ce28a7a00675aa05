"""Answers to an API server that asks about a pod: AdmissionReview of ``admission.k8s.io/v1``.

Pure but for ``find_identity``. A pod is always allowed. When its account cannot be read it comes out unchanged, with a
warning that kubectl shows.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from vpc_cni.addons.webhook.injection import Identity, Patch, plan_injection
from vpc_cni.errors import CallerError, VpcCniError

API_VERSION, KIND = "admission.k8s.io/v1", "AdmissionReview"
FindIdentity = Callable[[str, str], Identity | None]
# What Kubernetes can have: these become part of a URL, and webhooks are asked before a pod's members are checked.
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_ACCOUNT = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_ACCOUNT_MAX = 253


def answer_review(body: bytes, find_identity: FindIdentity, region: str) -> Mapping[str, Any]:
    """Return the AdmissionReview that answers one.

    Args:
        find_identity: tells of namespace and name of a service account whom its pods act as.

    Raises:
        CallerError: this is no AdmissionReview of a pod.
    """
    request = _request(body)
    pod = request["object"]
    namespace = str(request.get("namespace") or pod.get("metadata", {}).get("namespace") or "default")
    account = str(pod.get("spec", {}).get("serviceAccountName") or "default")
    response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
    try:
        identity = find_identity(namespace, account) if _may_be(namespace, account) else None
    except VpcCniError as err:
        response["warnings"] = [f"no IAM role was injected: {' '.join(err.message.split())}"[:240]]
        return {"apiVersion": API_VERSION, "kind": KIND, "response": response}
    patch = () if identity is None else _plan(pod, identity, region)
    if patch:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode("ascii")}
    return {"apiVersion": API_VERSION, "kind": KIND, "response": response}


def _may_be(namespace: str, account: str) -> bool:
    """Tell whether there can be such an account; a pod that names another is refused by the API server itself."""
    is_account = len(account) <= _ACCOUNT_MAX and _ACCOUNT.fullmatch(account)
    return bool(is_account and _NAMESPACE.fullmatch(namespace))


def _plan(pod: Mapping[str, Any], identity: Identity, region: str) -> Patch:
    try:
        return plan_injection(pod, identity, region)
    except (AttributeError, TypeError) as err:
        # Some member, however deep, is of another type than in a pod.
        raise CallerError("the object of this review is no pod") from err


def _request(body: bytes) -> Mapping[str, Any]:
    try:
        review = json.loads(body)
        request = review["request"]
        pod = request["object"]
        is_pod = (review["apiVersion"], review["kind"]) == (API_VERSION, KIND) and isinstance(request["uid"], str)
        maps = (pod, pod.get("metadata", {}), pod.get("spec", {}))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise CallerError("this is no AdmissionReview of a pod") from err
    if not is_pod or not all(isinstance(each, Mapping) for each in maps):
        raise CallerError(f"this is no {KIND} of {API_VERSION} with a pod in it")
    return dict(request)
