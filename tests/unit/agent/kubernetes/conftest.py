"""The API server of the client's own tests."""

from tests.unit.kube.conftest import access, authority, client, limits, node, server, timing

__all__ = ["access", "authority", "client", "limits", "node", "server", "timing"]
