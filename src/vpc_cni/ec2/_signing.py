"""Signature version 4 for query requests, with botocore's algorithm and our clock."""

import time
from collections.abc import Mapping

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]

from vpc_cni.ec2.credentials import Credentials

CONTENT_TYPE = "application/x-www-form-urlencoded; charset=utf-8"


class _ClockedSigner(SigV4Auth):  # type: ignore[misc]
    """SigV4Auth whose time is an argument, and which logs nothing.

    botocore's own ``add_auth`` reads the clock itself and writes the canonical request, session token included, to
    its debug log; this agent's default log level is debug.
    """

    def sign_at(self, request: AWSRequest, unix_seconds: float) -> None:
        request.context["timestamp"] = time.strftime(SIGV4_TIMESTAMP, time.gmtime(unix_seconds))
        self._modify_request_before_signing(request)
        to_sign = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(to_sign, request))


def sign_query(
    *, url: str, body: bytes, service: str, region: str, credentials: Credentials, unix_seconds: float
) -> Mapping[str, str]:
    """Return the headers of a signed POST of ``body`` to ``url``. Pure."""
    request = AWSRequest(method="POST", url=url, data=body, headers={"Content-Type": CONTENT_TYPE})
    _ClockedSigner(credentials, service, region).sign_at(request, unix_seconds)
    return dict(request.headers.items())
