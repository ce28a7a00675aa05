"""The lab's own calls to its API server: JSON over TLS as the administrator, one connection a call.

For the few objects that the lab makes and the states that it waits for; not a client library. Blocking calls run on
threads of their own.
"""

import asyncio
import http.client
import json
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from vpc_cni.errors import HostError
from vpc_cni.lab.kubernetes.pki import KeyPair

Json = dict[str, Any]
REQUEST_SECONDS = 10.0
POLL_SECONDS = 0.1
NOT_FOUND, CONFLICT = 404, 409
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML


class ApiError(HostError):
    """The API server refused a request.

    Args:
        status: of HTTP; 0 when it was not reached.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ApiClient:
    """Speaks with one API server on 127.0.0.1."""

    def __init__(self, port: int, authority: bytes, pair: KeyPair) -> None:
        self._port = port
        self._context = ssl.create_default_context(cadata=authority.decode())
        # The standard library reads a client's key from a file only.
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_bytes(pair.certificate + pair.key)
            self._context.load_cert_chain(file.name)

    async def get(self, path: str) -> Json:
        """Return an object or list.

        Raises:
            ApiError: not there, not allowed, or the server is not up.
        """
        return await asyncio.to_thread(self._request, "GET", path, None, "")

    async def find(self, path: str) -> Json | None:
        """Return an object, or None when there is none of this name."""
        try:
            return await self.get(path)
        except ApiError as err:
            if err.status == NOT_FOUND:
                return None
            raise

    async def create(self, path: str, document: Json) -> Json:
        """Create an object in a collection; one that exists already is returned as sent.

        Raises:
            ApiError: refused.
        """
        try:
            return await asyncio.to_thread(self._request, "POST", path, document, "application/json")
        except ApiError as err:
            if err.status == CONFLICT:
                return document
            raise

    async def patch(self, path: str, document: Json) -> Json:
        """Merge fields into an object."""
        return await asyncio.to_thread(self._request, "PATCH", path, document, MERGE_PATCH)

    async def apply(self, path: str, document: Json, field_manager: str) -> Json:
        """Make or change an object so that it has these fields, on the server's side.

        Fields of others are taken over: what the lab is asked to install wins.

        Raises:
            ApiError: refused.
        """
        query = f"?fieldManager={field_manager}&force=true"
        return await asyncio.to_thread(self._request, "PATCH", path + query, document, APPLY_PATCH)

    async def delete(self, path: str) -> None:
        """Delete an object, at once and with what belongs to it; one that is not there is no error."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        try:
            await asyncio.to_thread(self._request, "DELETE", path, body, "application/json")
        except ApiError as err:
            if err.status != NOT_FOUND:
                raise

    async def is_ready(self) -> bool:
        """Tell whether the server has done all that its start needs, bootstrap roles included."""
        try:
            await asyncio.to_thread(self._request, "GET", "/readyz", None, "")
        except ApiError:
            return False
        return True

    def _request(self, method: str, path: str, document: Json | None, content_type: str) -> Json:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=REQUEST_SECONDS, context=self._context
        )
        try:
            body = json.dumps(document) if document is not None else None
            headers = {"Content-Type": content_type} if content_type else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as err:
            raise ApiError(f"the API server does not answer: {err}", 0) from err
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise ApiError(f"{method} {path}: {_reason(data)}", answer.status)
        return _decode(data)


async def wait_until(
    condition: Callable[[], Awaitable[bool]], what: str, timeout_seconds: float, check: Callable[[], None]
) -> None:
    """Wait for a condition.

    Args:
        check: is called at each look; raises when waiting has become hopeless.

    Raises:
        HostError: it did not come in time; the message says ``what`` did not happen.
    """
    deadline = time.monotonic() + timeout_seconds
    while not await condition():
        check()
        if time.monotonic() > deadline:
            raise HostError(f"{what} did not happen within {timeout_seconds:g} s", hint="see the logs of the cluster")
        await asyncio.sleep(POLL_SECONDS)


def _decode(data: bytes) -> Json:
    try:
        document = json.loads(data)
    except ValueError:  # health pages are plain text
        return {}
    return document if isinstance(document, dict) else {}


def _reason(data: bytes) -> str:
    return str(_decode(data).get("message") or data[:200].decode(errors="replace"))
