"""What botocore signs is accepted, whatever it is; with any part changed it is not."""

import time
from dataclasses import dataclass, field, replace
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from vpc_cni.sigv4 import Refusal, RefusedError, parse_authorization, verify

SECRET = "secret"
_ENCODED = st.text(st.characters(codec="utf-8"), max_size=20).map(lambda text: quote(text, safe=""))
_NAMES = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz-"), min_size=1, max_size=12).map(lambda text: f"x-{text}")
_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@dataclass(frozen=True)
class Sent:
    """A request as it arrives."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""
    secret: str = field(default=SECRET)


@st.composite
def signed(draw: st.DrawFn) -> Sent:
    path = "/" + "/".join(draw(st.lists(_ENCODED.filter(lambda text: text not in ("", ".", "..")), max_size=4)))
    pairs = draw(st.lists(st.tuples(_ENCODED.filter(bool), _ENCODED), max_size=4))
    query = "&".join(f"{name}={value}" for name, value in pairs)
    headers = draw(st.dictionaries(_NAMES, _VALUES, max_size=4))
    method, body = draw(st.sampled_from(["GET", "POST", "DELETE"])), draw(st.binary(max_size=40))
    target = f"{path}?{query}" if query else path
    request = AWSRequest(method, f"http://example.com{target}", headers={**headers, "Host": "example.com"}, data=body)
    SigV4Auth(Credentials("AKID", SECRET), "eks", "us-west-2").add_auth(request)
    sent = {name.lower(): value for name, value in request.headers.items()}
    return Sent(method, path, query, sent, body)


def judge(request: Sent) -> Refusal | None:
    scope = parse_authorization(request.headers["authorization"])
    assert scope is not None
    try:
        verify(request, scope, request.secret, now=time.time())
    except RefusedError as refused:
        return refused.reason
    return None


@settings(max_examples=150, deadline=None)
@given(request=signed())
def test_what_was_signed_is_accepted(request: Sent) -> None:
    assert judge(request) is None


@settings(max_examples=100, deadline=None)
@given(request=signed(), extra=st.sampled_from("abc/#?%"))
def test_what_was_changed_is_not(request: Sent, extra: str) -> None:
    changed = [
        replace(request, method="PATCH"),
        replace(request, body=request.body + b"x"),
        replace(request, path=f"{request.path}a{extra}"),
        replace(request, query=f"{request.query}&a={extra}"),
        replace(request, headers={**request.headers, "host": "elsewhere.example.com"}),
        replace(request, secret="guessed"),
    ]
    assert [judge(each) for each in changed] == [Refusal.WRONG_SIGNATURE] * len(changed)


@pytest.mark.parametrize(
    "path",
    ["/a b", "/a\nb", "/a\u00e9", "/a#b", "/a\x00", "//[/a"],
)
def test_targets_that_cannot_be_signed_are_refused(path: str) -> None:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    text = (
        f"AWS4-HMAC-SHA256 Credential=AKID/{stamp[:8]}/us-west-2/eks/aws4_request, SignedHeaders=host;x-amz-date, "
        f"Signature={'0' * 64}"
    )
    headers = {"authorization": text, "x-amz-date": stamp, "host": "["}
    assert judge(Sent("GET", path, "", headers)) is Refusal.WRONG_SIGNATURE
