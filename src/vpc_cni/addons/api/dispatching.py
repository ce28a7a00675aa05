"""From a request that has arrived whole to its answer: identity, operation, form, answer or exception.

Blocks on the store; whoever serves it has threads for that. Knows nothing of sockets and of the web framework.
"""

import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from vpc_cni.addons.api.identity import authenticate, read_claim
from vpc_cni.addons.api.members import parse_body, parse_query
from vpc_cni.addons.api.operations import Operation, decode_labels, find_operation
from vpc_cni.addons.api.published import PublishedManifests
from vpc_cni.addons.api.refusals import translate
from vpc_cni.addons.api.service import Call, Json, Service
from vpc_cni.addons.errors import ApiError, ServerError, UnknownOperationError
from vpc_cni.addons.rules import InputError
from vpc_cni.addons.store import StoreRefusal

LOG = logging.getLogger(__name__)
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """A request that has arrived whole. Header names are lower case; ``path`` is as sent, without the query."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Dispatcher:
    """Answers requests. Safe for threads."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._published = PublishedManifests(service)

    def admit(self, path: str, headers: Mapping[str, str]) -> bool:
        """Refuse by its head what no body could make acceptable; tell whether the body counts. Never blocks.

        Bodies of strangers are not waited for: neither when they are refused, nor when they ask for what is public.

        Raises:
            ApiError: as :func:`read_claim`.
        """
        if self._published.concerns(path):
            return False
        read_claim(headers, self._service)
        return True

    def answer(self, request: Request) -> Reply:
        """Return the answer; whatever happens, there is one."""
        if self._published.concerns(request.path):
            return self._publish(request)
        request_id, operation, labels, key = str(uuid.uuid4()), "-", dict[str, str](), "-"
        try:
            now = self._service.clock()
            key = authenticate(request, self._service, now)
            found = find_operation(request.method, request.path)
            if found is None:
                raise UnknownOperationError(f"{request.method} {request.path} is no operation of this service")
            operation = found[0].name
            reply = _reply(200, self._run(request, found[0], found[1], labels, now), request_id)
        except ApiError as error:
            reply = render_error(error, request_id, labels)
        except Exception:
            LOG.exception("%s %s: failed", request_id, operation)
            reply = render_error(ServerError(f"Internal error in request {request_id}"), request_id, labels)
        error_type = reply.headers.get("x-amzn-ErrorType", "-")
        cluster = labels.get("clusterName", "-")
        LOG.info("%s %s cluster=%r key=%s: %d %s", request_id, operation, cluster, key, reply.status, error_type)
        return reply

    def _run(
        self, request: Request, operation: Operation, encoded: Mapping[str, str], labels: dict[str, str], now: float
    ) -> Json:
        """Return the answer of an operation; ``labels`` gets what the path names, for errors too."""
        try:
            labels.update(decode_labels(encoded))
            query, body = parse_query(request.query), parse_body(request.body)
            call = Call(self._service, operation.name, labels, query, body, now)
            return _perform_once(operation, call) if operation.is_repeatable else operation.handle(call)
        except InputError as error:
            raise operation.invalid(error.message) from error
        except StoreRefusal as refusal:
            raise translate(refusal) from refusal

    def _publish(self, request: Request) -> Reply:
        text = self._published.read(request.path) if request.method in ("GET", "HEAD") else None
        headers = {"content-type": "text/plain; charset=utf-8"}
        return Reply(404, headers, b"404: Not Found") if text is None else Reply(200, headers, text)


def _perform_once(operation: Operation, call: Call) -> Json:
    """Return what the operation answers, or what it answered to the same request before."""
    earlier = call.recall()
    if earlier is not None:
        return earlier
    try:
        return operation.handle(call)
    except (ApiError, StoreRefusal):
        # What stands in the way may be the same request, accepted since: clients repeat what takes too long.
        earlier = call.recall()
        if earlier is None:
            raise
        return earlier


def render_error(error: ApiError, request_id: str, labels: Mapping[str, str]) -> Reply:
    """Return an exception in the form of the protocol rest-json: its type in a header, its members in the body."""
    reply = _reply(error.http_status, error.body(labels), request_id)
    return Reply(reply.status, {**reply.headers, "x-amzn-ErrorType": error.code}, reply.body)


def _reply(status: int, document: Mapping[str, object], request_id: str) -> Reply:
    body = json.dumps(document, separators=(",", ":")).encode()
    return Reply(status, {"content-type": _JSON, "x-amzn-RequestId": request_id}, body)


def error_before_request(error: ApiError) -> Reply:
    """Return the answer to a request that never arrived whole."""
    request_id = str(uuid.uuid4())
    LOG.info("%s -: %d %s before it was whole", request_id, error.http_status, error.code)
    return render_error(error, request_id, {})
