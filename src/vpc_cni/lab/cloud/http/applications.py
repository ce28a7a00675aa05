"""ASGI applications over the faces of the cloud: one for the APIs, one for instance metadata."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vpc_cni.lab.cloud.faces import Faces
from vpc_cni.lab.cloud.http.protocol import set_hop_limit, transport_of
from vpc_cni.lab.cloud.identity import pod_identity
from vpc_cni.lab.cloud.metadata.service import MetadataService
from vpc_cni.lab.cloud.query.dispatcher import Dispatcher, action_version
from vpc_cni.lab.cloud.query.request import HttpReply, HttpRequest

Sleep = Callable[[float], Awaitable[None]]


def api_application(faces: Faces, *, sleep: Sleep = asyncio.sleep) -> Starlette:
    """Serve EC2 and STS at ``/`` (the request's Version tells which), container credentials and the OIDC issuer."""

    async def query(request: Request) -> Response:
        plain = await _plain(request)
        return await _serve_call(faces.query_face(action_version(plain)), plain, request, sleep)

    async def container_credentials(request: Request) -> Response:
        return _response(faces.pod_identity.handle(await _plain(request)))

    async def discovery(_: Request) -> Response:
        return _json(faces.issuer.discovery())

    async def keys(_: Request) -> Response:
        return _json(faces.issuer.jwks())

    return Starlette(
        routes=[
            Route("/", query, methods=["GET", "POST"]),
            Route(pod_identity.PATH, container_credentials, methods=["GET"]),
            Route("/.well-known/openid-configuration", discovery),
            Route("/openid/v1/jwks", keys),
        ]
    )


def metadata_application(service: MetadataService) -> Starlette:
    """Serve instance metadata; the peer's address tells which instance asks."""

    async def answer(request: Request) -> Response:
        reply = service.handle(await _plain(request))
        transport = transport_of(request.scope)
        if transport is not None:
            # Set before the answer is written, and back again for later ones on the same connection.
            set_hop_limit(transport, reply.hop_limit)
        return _response(reply)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "HEAD", "PUT", "POST", "DELETE"])])


async def _serve_call(face: Dispatcher, plain: HttpRequest, request: Request, sleep: Sleep) -> Response:
    admission = face.admit(plain)
    if isinstance(admission, HttpReply):
        return _response(admission)
    if admission.delay_seconds:
        await sleep(admission.delay_seconds)
    outcome = face.perform(admission)
    if outcome.delay_seconds:
        await sleep(outcome.delay_seconds)
    if outcome.lost and (transport := transport_of(request.scope)) is not None:
        transport.abort()
    return _response(outcome.reply)


async def _plain(request: Request) -> HttpRequest:
    scope = request.scope
    return HttpRequest(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=await request.body(),
        peer=scope["client"][0] if scope.get("client") else "",
    )


def _response(reply: HttpReply) -> Response:
    return Response(reply.body, reply.status, headers=dict(reply.headers), media_type=reply.content_type)


def _json(document: Mapping[str, Any]) -> Response:
    return Response(json.dumps(document), media_type="application/json")
