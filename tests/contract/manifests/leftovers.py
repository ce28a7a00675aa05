"""What a module of tests leaves in an API server: found by asking for everything, and removed."""

import http.client
import json
import ssl
import time
from collections.abc import Iterator
from typing import Any

# What the server makes by itself, some of it only after it says that it is ready.
_OWN_KINDS = frozenset({"events", "leases", "endpoints", "endpointslices"})
_OWN_GROUPS = frozenset({"apiregistration.k8s.io", "flowcontrol.apiserver.k8s.io", "events.k8s.io"})
_OWN_NAMES = frozenset({"kubernetes", "default", "kube-system", "kube-public", "kube-node-lease", "cluster-admin"})
_SECONDS = 30.0
_NOW = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "propagationPolicy": "Background"}


class Contents:
    """All objects of an API server, except those of its own.

    Args:
        authority: a PEM file.
    """

    def __init__(self, port: int, authority: str, token: str) -> None:
        trust = ssl.create_default_context(cafile=authority)
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, context=trust, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def close(self) -> None:
        self._connection.close()

    def paths(self) -> frozenset[str]:
        """Return the path of each object."""
        return frozenset(path for folder in self._folders() for path in self._list(folder))

    def reduce_to(self, kept: frozenset[str]) -> None:
        """Remove all objects but some, and wait until they are gone.

        Raises:
            AssertionError: some stay.
        """
        end = time.monotonic() + _SECONDS
        while found := self.paths() - kept:
            assert time.monotonic() < end, f"not removed: {', '.join(sorted(found))}"
            for path in sorted(found):
                self._remove(path)

    def _remove(self, path: str) -> None:
        _, left = self._call("DELETE", path, _NOW)
        if path.startswith("/api/v1/namespaces/") and path.count("/") == 4 and "metadata" in left:
            # The test plays the controller that empties namespaces: what was in this one is removed by its own path.
            left["spec"] = {"finalizers": []}
            self._call("PUT", f"{path}/finalize", left)

    def _folders(self) -> Iterator[tuple[str, str]]:
        """Yield where kinds of objects are listed, and the name of the kind."""
        _, groups = self._call("GET", "/apis")
        versions = [each["preferredVersion"]["groupVersion"] for each in groups["groups"]]
        for root in ("/api/v1", *(f"/apis/{each}" for each in versions if each.split("/")[0] not in _OWN_GROUPS)):
            # A group that is just being removed is still named for a moment.
            status, known = self._call("GET", root)
            for each in known["resources"] if status == http.HTTPStatus.OK else ():
                if {"list", "delete"} <= set(each["verbs"]) and each["name"] not in _OWN_KINDS:
                    yield root, each["name"]

    def _list(self, folder: tuple[str, str]) -> Iterator[str]:
        root, kind = folder
        status, found = self._call("GET", f"{root}/{kind}")
        for each in found["items"] if status == http.HTTPStatus.OK else ():
            name, namespace = each["metadata"]["name"], each["metadata"].get("namespace")
            if name not in _OWN_NAMES and not name.startswith("system:"):
                yield f"{root}/namespaces/{namespace}/{kind}/{name}" if namespace else f"{root}/{kind}/{name}"

    def _call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        text = None if body is None else json.dumps(body)
        self._connection.request(method, path.replace(":", "%3A"), text, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        # Of a kind that is just being removed the server knows nothing, and says so in plain text.
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(text) if is_json else {}
