"""Signature version 4 for query requests. Pure, and silent: what is signed holds session tokens.

Only what EC2 and STS are asked with: POST, a form as body, no query in the URL. botocore's signer brings modules of
2.6 MiB into the agent on every node; the tests compare this one with it.

Source: AWS General Reference, "Create a signed AWS API request".
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from vpc_cni.ec2.credentials import Credentials

CONTENT_TYPE = "application/x-www-form-urlencoded; charset=utf-8"

_ALGORITHM = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def sign_query(
    *, url: str, body: bytes, service: str, region: str, credentials: Credentials, unix_seconds: float
) -> Mapping[str, str]:
    """Return the headers of a signed POST of ``body`` to ``url``. Pure."""
    timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(unix_seconds))
    headers = {"Content-Type": CONTENT_TYPE, "X-Amz-Date": timestamp}
    if credentials.token:
        headers["X-Amz-Security-Token"] = credentials.token
    signed = {name.lower(): value for name, value in headers.items()} | {"host": _host(url)}
    names = ";".join(sorted(signed))
    scope = f"{timestamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join((_ALGORITHM, timestamp, scope, _digest(_canonical(url, signed, names, body))))
    signature = hmac.new(_key(credentials.secret_key, scope), to_sign.encode(), hashlib.sha256).hexdigest()
    headers["Authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _canonical(url: str, signed: Mapping[str, str], names: str, body: bytes) -> bytes:
    lines = [f"{name}:{' '.join(signed[name].split())}" for name in sorted(signed)]
    path = quote(urlsplit(url).path or "/", safe="/~")
    return "\n".join(("POST", path, "", *lines, "", names, _digest(body))).encode()


def _host(url: str) -> str:
    """Return the Host header that a client sends: without the port where it is the scheme's own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    name = f"[{host}]" if ":" in host else host
    return name if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{name}:{parts.port}"


def _key(secret: str, scope: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
