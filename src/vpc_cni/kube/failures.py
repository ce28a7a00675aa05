"""The server's refusals in the words of the one exception tree. Pure."""

import msgspec

from vpc_cni.errors import (
    KubernetesConflictError,
    KubernetesDeniedError,
    KubernetesError,
    KubernetesExpiredError,
    KubernetesNotFoundError,
    KubernetesThrottledError,
)
from vpc_cni.kube.objects import Status
from vpc_cni.kube.resources import ApiRequest

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, GONE, INVALID, TOO_MANY = 401, 403, 404, 409, 410, 422, 429
_SERVER_ERRORS = 500
_SHOWN_BYTES = 300
# A server that asks for more than this is not believed: nobody would notice that it is back.
_LONGEST_RETRY_AFTER_SECONDS = 300.0

_CLASSES: dict[int, type[KubernetesError]] = {
    UNAUTHORIZED: KubernetesDeniedError,
    FORBIDDEN: KubernetesDeniedError,
    NOT_FOUND: KubernetesNotFoundError,
    CONFLICT: KubernetesConflictError,
    GONE: KubernetesExpiredError,
    TOO_MANY: KubernetesThrottledError,
}


def error_of(request: ApiRequest, status: int, body: bytes, retry_after: str = "") -> KubernetesError:
    """Return the error for an answer that is no success.

    Args:
        body: a Status in JSON, or whatever a proxy on the way has to say.
        retry_after: the header, in seconds.
    """
    answer = _status_of(body)
    return error_of_status(request, status, answer, _seconds(retry_after, answer))


def error_of_status(request: ApiRequest, status: int, answer: Status, retry_after: float = 0.0) -> KubernetesError:
    """Return the error for a Status object; ``status`` is the HTTP status, or the code of a failed watch."""
    kind = _CLASSES.get(status, KubernetesError)
    if status == INVALID and _is_about_uid(answer):
        kind = KubernetesConflictError
    return kind(
        f"{request}: {status} {answer.message or answer.reason or 'without a reason'}",
        status=status,
        reason=answer.reason,
        retry_after_seconds=retry_after,
        hint=_hint(request, status),
        retryable=None if kind is not KubernetesError else status >= _SERVER_ERRORS,
    )


def _is_about_uid(answer: Status) -> bool:
    """Whether a patch named another uid than the object has: API servers see an immutable field changed."""
    causes = answer.details.causes if answer.details is not None else None
    return any(cause.field == "metadata.uid" for cause in causes or ())


def _hint(request: ApiRequest, status: int) -> str:
    if status == UNAUTHORIZED:
        return "the token or certificate is not accepted; check that the service account aws-node exists"
    if status == FORBIDDEN:
        return f'give ClusterRole aws-node the verb "{request.verb}" on "{request.resource}"'
    return ""


def _status_of(body: bytes) -> Status:
    try:
        return msgspec.json.decode(body, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Status(message=body[:_SHOWN_BYTES].decode(errors="replace").strip())


def _seconds(header: str, answer: Status) -> float:
    named = answer.details.retry_after_seconds if answer.details is not None else None
    seconds = float(header) if header.isascii() and header.isdigit() else float(named or 0)
    return max(0.0, min(seconds, _LONGEST_RETRY_AFTER_SECONDS))
