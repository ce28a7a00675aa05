"""The signature is that of botocore, whatever is signed."""

import time

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from vpc_cni.ec2._signing import CONTENT_TYPE, sign_query
from vpc_cni.ec2.credentials import Credentials

WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12)
KEYS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", min_size=1, max_size=60)
HOSTS = st.sampled_from(["ec2.us-west-2.amazonaws.com", "EC2.example", "10.0.0.1", "[fd00:ec2::254]"])
PORTS = st.sampled_from(["", ":80", ":443", ":8080"])
PATHS = st.sampled_from(["", "/", "/a", "/a/b~c/", "/with space", "/ümlaut", "/a%20b"])


class BotocoreSigner(SigV4Auth):  # type: ignore[misc]
    """botocore's signer with our clock."""

    def sign_at(self, request: AWSRequest, unix_seconds: int) -> None:
        request.context["timestamp"] = time.strftime(SIGV4_TIMESTAMP, time.gmtime(unix_seconds))
        self._modify_request_before_signing(request)
        to_sign = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(to_sign, request))


@given(
    parts=st.tuples(st.sampled_from(["http://", "https://"]), HOSTS, PORTS, PATHS),
    body=st.binary(max_size=200),
    scope=st.tuples(WORDS, WORDS),
    credentials=st.builds(Credentials, access_key=WORDS, secret_key=KEYS, token=st.none() | KEYS),
    seconds=st.integers(0, 4_000_000_000),
)
def test_it_is_the_signature_of_botocore(
    parts: tuple[str, ...], body: bytes, scope: tuple[str, str], credentials: Credentials, seconds: int
) -> None:
    url, (service, region) = "".join(parts), scope
    request = AWSRequest(method="POST", url=url, data=body, headers={"Content-Type": CONTENT_TYPE})
    BotocoreSigner(credentials, service, region).sign_at(request, seconds)
    ours = sign_query(url=url, body=body, service=service, region=region, credentials=credentials, unix_seconds=seconds)
    assert dict(ours) == dict(request.headers.items())
