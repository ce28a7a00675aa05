"""Any members, of any type, to any operation: an answer that the service model knows, and never a 500.

Requests are made from botocore's service model: each member is mostly what the model wants, and sometimes anything.
"""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from api_shapes import MODEL, check_answer
from api_site import ACCOUNT, KEY, REGION, ROLE, SECRET, Site
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vpc_cni.addons.api.dispatching import Dispatcher, Reply, Request
from vpc_cni.addons.api.operations import OPERATIONS, Operation

HOST = "eks.example.com"
KNOWN = ("known", "installed", "busy")
_TEXT = st.text(max_size=300)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)
_VALUES = st.sampled_from(
    ["", "{}", '{"env":{"WARM_IP_TARGET":"5"}}', '{"env":{"X":1}}', "env: {}", "a: [", "- x", '{"affinity":{"a":[1]}}']
)
_ARNS = st.sampled_from([f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{name}" for name in KNOWN])
# Members whose good values the model does not tell.
_GOOD: dict[str, st.SearchStrategy[Any]] = {
    "clusterName": st.sampled_from(KNOWN),
    "name": st.sampled_from(KNOWN),
    "addonName": st.just("vpc-cni"),
    "addonVersion": st.sampled_from(["v1.16.2-eksbuild.1", "v1.15.1-eksbuild.1", "v1.16.2", "v1.23.1-eksbuild.1"]),
    "serviceAccountRoleArn": st.just(ROLE),
    "roleArn": st.just(ROLE),
    "podExecutionRoleArn": st.just(ROLE),
    "serviceAccount": st.sampled_from(["aws-node", "app"]),
    "namespace": st.sampled_from(["default", "kube-system"]),
    "configurationValues": _VALUES | _TEXT,
    "resourceArn": _ARNS,
    "kubernetesVersion": st.sampled_from(["1.29", "1.23", "1.99"]),
    "version": st.sampled_from(["1.30", "1.29"]),
    "clientRequestToken": st.uuids().map(str),
}


def good(shape: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Return values that the model allows, and that now and then name something that is there."""
    if name in _GOOD:
        return _GOOD[name]
    if shape.type_name == "structure":
        members = {key: good(member, key) for key, member in shape.members.items()}
        required = {key: members.pop(key) for key in shape.required_members}
        return st.fixed_dictionaries(required, optional=members)
    if shape.type_name == "list":
        return st.lists(good(shape.member), max_size=3)
    if shape.type_name == "map":
        return st.dictionaries(_TEXT, good(shape.value), max_size=3)
    scalars: dict[str, st.SearchStrategy[Any]] = {
        "integer": st.integers(-1, 200),
        "long": st.integers(),
        "boolean": st.booleans(),
        "timestamp": st.floats(),
    }
    if getattr(shape, "enum", None):
        return st.sampled_from(shape.enum)
    return scalars.get(shape.type_name, _TEXT)


@st.composite
def requests(draw: st.DrawFn, operation: Operation) -> Request:
    """Return a signed request to an operation."""
    shape = MODEL.operation_model(operation.name).input_shape
    path, query, body = MODEL.operation_model(operation.name).http["requestUri"], [], {}
    for name, member in shape.members.items():
        needed = name in shape.required_members or draw(st.booleans())
        if not needed:
            continue
        spoiled = draw(st.integers(0, 5)) == 0
        value = draw(_ANYTHING if spoiled else good(member, name))
        where, wire = member.serialization.get("location"), member.serialization.get("name", name)
        if where == "uri":
            path = path.replace(f"{{{wire}}}", quote(_text(value), safe="") or "x")
        elif where == "querystring":
            query += [f"{quote(wire)}={quote(_text(each))}" for each in (value if isinstance(value, list) else [value])]
        else:
            body[wire] = value
    sends_body = operation.method == "POST"
    raw = json.dumps(body).encode() if sends_body else b""
    return _sign(operation.method, path, "&".join(query), raw)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "replace").decode()


def _sign(method: str, path: str, query: str, body: bytes) -> Request:
    target = f"{path}?{query}" if query else path
    request = AWSRequest(method, f"http://{HOST}{target}", headers={"Host": HOST}, data=body)
    SigV4Auth(Credentials(KEY, SECRET), "eks", REGION).add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request(method, path, query, headers, body)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three clusters: without the add-on, with it, and with one that is being made."""
    opened = Site(tmp_path_factory.mktemp("any"), "")
    for name in KNOWN:
        opened.register(name)
    dispatcher, body = Dispatcher(opened.service), b'{"addonName":"vpc-cni"}'
    assert dispatcher.answer(_sign("POST", "/clusters/installed/addons", "", body)).status == 200
    opened.end_work()
    assert dispatcher.answer(_sign("POST", "/clusters/busy/addons", "", body)).status == 200
    yield opened
    opened.store.close()


@pytest.fixture(scope="module")
def dispatcher(site: Site) -> Dispatcher:
    return Dispatcher(site.service)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_members_get_an_answer_of_the_model(
    site: Site, dispatcher: Dispatcher, operation: Operation, data: st.DataObject
) -> None:
    if data.draw(st.booleans(), "work ends first"):
        site.end_work()
    request = data.draw(requests(operation))
    reply = dispatcher.answer(request)
    assert reply.status < 500, reply.body
    if reply.headers.get("x-amzn-ErrorType") == "UnknownOperationException":
        # A label that is empty, or a dot: the path is another's.
        return
    check_answer(operation.name, reply.status, reply.headers, reply.body)


_PATHS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60).map(lambda text: f"/{text}")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(["GET", "POST", "DELETE", "PUT"]), path=_PATHS, query=_PATHS, body=st.binary(max_size=80))
def test_any_target_gets_an_answer(dispatcher: Dispatcher, method: str, path: str, query: str, body: bytes) -> None:
    reply: Reply = dispatcher.answer(_sign(method, path.replace("?", ""), query, body))
    assert reply.status < 500
    assert "message" in json.loads(reply.body)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=st.text(max_size=200), ahead=st.integers(-(10**9), 10**9))
def test_any_authorization_is_refused(dispatcher: Dispatcher, header: str, ahead: int) -> None:
    signed = _sign("GET", "/clusters", "", b"")
    spoiled = {**signed.headers, "authorization": header}
    assert dispatcher.answer(Request("GET", "/clusters", "", spoiled)).status == 403
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(max(0, time.time() + ahead)))
    if abs(ahead) > 2:
        other = {**signed.headers, "x-amz-date": stamp}
        assert dispatcher.answer(Request("GET", "/clusters", "", other)).status == 403
