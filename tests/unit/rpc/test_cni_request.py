"""What a container runtime says: environment, arguments, configuration, previous result."""

import dataclasses
import json
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any

import pytest

from vpc_cni.errors import CallerError, CniCode, ConfigurationError
from vpc_cni.model import PodIdentity, SandboxKey
from vpc_cni.rpc import Request, encode_result
from vpc_cni.rpc.cni import SUPPORTED_VERSIONS, Attachment, answer_version, encode_error, parse_request
from vpc_cni.rpc.cni.prev_result import RecordedWiring

SINCE = {"ADD": "0.3.0", "DEL": "0.3.0", "CHECK": "0.4.0", "STATUS": "1.1.0", "GC": "1.1.0"}
PREV_RESULT = {
    "cniVersion": "0.4.0",
    "interfaces": [
        {"name": "eni0d7763386da"},
        {"name": "eth0", "sandbox": "/run/netns/a"},
        {"name": "dummy0d7763386da", "mac": "0", "sandbox": "2"},
    ],
    "ips": [{"version": "4", "address": "10.0.0.5/32", "interface": 1}],
    "dns": {},
}
COMPLETE = {"prevResult": PREV_RESULT, "cni.dev/valid-attachments": []}


def config(**members: Any) -> bytes:
    return json.dumps({"cniVersion": "1.1.0", "name": "aws-cni", "type": "aws-cni"} | members).encode()


def request(command: str = "ADD", stdin: bytes | None = None, **variables: str | None) -> Request:
    usual: dict[str, Any] = {"container_id": "c0ffee", "ifname": "eth0", "netns": "/run/netns/a"}
    return Request(command, config(**COMPLETE) if stdin is None else stdin, **(usual | variables))


def refusal(given: Request) -> CallerError | ConfigurationError:
    with pytest.raises((CallerError, ConfigurationError)) as caught:
        parse_request(given)
    assert caught.value.hint, "an error says what to do"
    return caught.value


def test_an_add_of_kubernetes():
    args = (
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=c0ffee;K8S_POD_UID=u"
    )
    parsed = parse_request(request(stdin=config(vethPrefix="abc", mtu="1500"), args=args))
    assert parsed.command == "ADD"
    assert parsed.key == SandboxKey("aws-cni", "c0ffee", "eth0")
    assert parsed.pod == PodIdentity("default", "web-0", "u")
    assert (parsed.config.veth_prefix, parsed.config.mtu_bytes) == ("abc", 1500)
    assert (parsed.netns_path, parsed.cni_version, parsed.warnings) == ("/run/netns/a", "1.1.0", ())


def test_defaults_are_the_reference_s():
    parsed = parse_request(request(stdin=config()))
    assert (parsed.config.veth_prefix, parsed.config.mtu_bytes) == ("eni", 9001)
    assert parsed.pod == PodIdentity()
    assert parsed.config.prev_result is None


@pytest.mark.parametrize("command", SINCE)
@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_commands_by_version(version, command):
    given = request(command, config(cniVersion=version, **COMPLETE))
    if SUPPORTED_VERSIONS.index(version) >= SUPPORTED_VERSIONS.index(SINCE[command]):
        assert parse_request(given).cni_version == version
    else:
        error = refusal(given)
        assert error.cni_code == CniCode.INCOMPATIBLE_VERSION
        assert SINCE[command] in error.hint


@pytest.mark.parametrize("version", ["", "0.1.0", "0.2.0", "0.3", "1.2.0", "latest", "1" * 99])
def test_other_versions_are_refused_with_the_list_of_ours(version):
    error = refusal(request(stdin=config(cniVersion=version)))
    assert error.cni_code == CniCode.INCOMPATIBLE_VERSION
    assert all(supported in error.hint for supported in SUPPORTED_VERSIONS)
    assert len(error.message) < 100


def test_a_configuration_without_version_is_one_of_0_1_0():
    error = refusal(request(stdin=b'{"name":"aws-cni"}'))
    assert (error.cni_code, "0.1.0" in error.message) == (1, True)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"container_id": None}, ["CNI_CONTAINERID"]),
        ({"ifname": ""}, ["CNI_IFNAME"]),
        ({"netns": None}, ["CNI_NETNS"]),
        ({"container_id": None, "ifname": None, "netns": None}, ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"]),
        ({"container_id": "a/b"}, ["CNI_CONTAINERID", "a/b"]),
        ({"container_id": "_a"}, ["CNI_CONTAINERID"]),
        ({"container_id": "a\n"}, ["CNI_CONTAINERID"]),
        ({"container_id": "ä"}, ["CNI_CONTAINERID"]),
        ({"container_id": "a" * 256}, ["CNI_CONTAINERID"]),
        ({"ifname": "a/b"}, ["CNI_IFNAME"]),
        ({"ifname": "a:b"}, ["CNI_IFNAME"]),
        ({"ifname": "a b"}, ["CNI_IFNAME"]),
        ({"ifname": "a\u2003b"}, ["CNI_IFNAME"]),
        ({"ifname": "à"}, ["CNI_IFNAME"]),
        ({"ifname": "eth%d"}, ["CNI_IFNAME"]),
        ({"ifname": "."}, ["CNI_IFNAME"]),
        ({"ifname": ".."}, ["CNI_IFNAME"]),
        ({"ifname": "sixteen-bytes-xx"}, ["CNI_IFNAME"]),
        ({"args": "K8S_POD_NAME"}, ["CNI_ARGS", "K8S_POD_NAME"]),
        ({"args": "=x"}, ["CNI_ARGS"]),
        ({"args": "FOO=1;BAR=2"}, ["CNI_ARGS", "BAR, FOO"]),
        ({"args": "IgnoreUnknown=maybe"}, ["CNI_ARGS", "IgnoreUnknown"]),
    ],
)
def test_variables_are_named(variables, named):
    error = refusal(request(**variables))
    assert error.cni_code == CniCode.INVALID_ENVIRONMENT
    for name in named:
        assert name in error.message


@pytest.mark.parametrize("ifname", ["e", "eth0", "fifteen-bytes-x", "a.b", "@x", "ü"])
def test_interface_names_that_are_fine(ifname):
    assert parse_request(request(ifname=ifname)).ifname == ifname


@pytest.mark.parametrize(
    "args", ["", "FOO=1;IgnoreUnknown=true", "IgnoreUnknown=1;A=b=c;;", "K8S_POD_NAME=a;K8S_POD_NAME=b"]
)
def test_arguments_that_are_fine(args):
    parse_request(request(args=args))


@pytest.mark.parametrize("command", ["", "add", "VERSION", "UPDATE"])
def test_other_commands_are_refused(command):
    error = refusal(request(command))
    assert (error.cni_code, "CNI_COMMAND" in error.message) == (4, True)


@pytest.mark.parametrize(
    ("stdin", "code", "words"),
    [
        (b"", 6, "JSON"),
        (b"[]", 6, "JSON object"),
        (b"{", 6, "JSON"),
        (b'{"a":' * 5000, 6, "JSON"),
        (b'{"cniVersion":1}', 6, "cniVersion"),
        (config(name=None), 7, "name"),
        (config(name=1), 7, "name"),
        (config(name="a/b"), 7, "name"),
        (config(name="-a"), 7, "name"),
        (config(vethPrefix="fiver"), 7, "vethPrefix 'fiver'"),
        (config(vethPrefix="a/"), 7, "vethPrefix"),
        (config(vethPrefix=3), 7, "vethPrefix 3"),
        (config(vethPrefix="eth"), 7, "vethPrefix 'eth'"),
        (config(vethPrefix="vlan"), 7, "vethPrefix 'vlan'"),
        (config(vethPrefix="lo"), 7, "vethPrefix 'lo'"),
        (config(podSGEnforcingMode="lax"), 7, "podSGEnforcingMode 'lax'"),
        (config(podSGEnforcingMode=[]), 7, "podSGEnforcingMode"),
        (config(ipam={"type": "host-local"}), 2, "ipam = {'type': 'host-local'}"),
        (config(prevResult=1), 7, "prevResult"),
        (config(prevResult={"ips": [{"address": "x"}]}), 7, "prevResult"),
        (config(prevResult={"ips": [{"address": "10.0.0.1/32", "interface": 0}]}), 7, "points nowhere"),
        (config(prevResult={"interfaces": [{"name": 1}]}), 7, "prevResult"),
    ],
)
def test_configurations_of_an_add(stdin, code, words):
    error = refusal(request(stdin=stdin))
    assert error.cni_code == code
    assert words in error.message


@pytest.mark.parametrize(
    ("mtu", "used", "warned"),
    [
        ("9001", 9001, False),
        (1500, 1500, False),
        ("", 9001, False),
        (None, 9001, False),
        ("575", 576, True),
        ("-1", 576, True),
        (9002, 9001, True),
        ("12345678901234567890", 9001, True),
        ("1e3", 9001, True),
        (1500.0, 9001, True),
        (True, 9001, True),
    ],
)
def test_mtu_is_kept_within_its_range_and_that_is_said(mtu, used, warned):
    parsed = parse_request(request(stdin=config(mtu=mtu)))
    assert parsed.config.mtu_bytes == used
    assert bool(parsed.warnings) is warned


def test_a_del_goes_on_where_an_add_would_not():
    stdin = config(vethPrefix="toolong", ipam={"type": "x"}, prevResult={"ips": 1}, podSGEnforcingMode="?", mtu="?")
    parsed = parse_request(request("DEL", stdin, netns=None, args="rubbish"))
    assert parsed.key == SandboxKey("aws-cni", "c0ffee", "eth0")
    assert (parsed.netns_path, parsed.pod, parsed.config.veth_prefix) == ("", PodIdentity(), "eni")
    assert parsed.config.prev_result is None
    assert len(parsed.warnings) == 6


@pytest.mark.parametrize("command", ["STATUS", "GC"])
def test_node_commands_need_no_sandbox(command):
    parsed = parse_request(Request(command, config(**COMPLETE), container_id="a/b"))
    assert (parsed.container_id, parsed.ifname) == ("", "")


@pytest.mark.parametrize(
    "members",
    [
        b'"vethPrefix":"' + b"x" * 1_000_000 + b'"',
        b'"vethPrefix":' + b"[" * 990 + b"]" * 990,
        b'"ipam":{"a":' + b"[" * 980 + b"]" * 980 + b"}",
        b'"ipam":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'"mtu":' + b"9" * 5000,
        b'"podSGEnforcingMode":"' + b"\\u0001" * 100_000 + b'"',
        b'"prevResult":{"ips":[{"address":"' + b"x" * 1_000_000 + b'"}]}',
        b'"prevResult":{"x":' + b"[" * 985 + b"]" * 985 + b"}",
        b'"cni.dev/attachments":' + b"[" * 985 + b"]" * 985,
    ],
)
@pytest.mark.parametrize("command", ["ADD", "GC"])
def test_messages_about_huge_or_deep_members_stay_short(command, members):
    stdin = b'{"cniVersion":"1.1.0","name":"a",' + members + b"}"
    with pytest.raises((CallerError, ConfigurationError)) as caught:
        parse_request(request(command, stdin, netns="/n"))
    assert len(encode_result(encode_error(stdin, caught.value))) < 10_000


# ---- members that belong to one command


def test_a_check_needs_the_result_of_its_add():
    error = refusal(request("CHECK", config()))
    assert (error.cni_code, "prevResult" in error.message) == (7, True)


@pytest.mark.parametrize("key", ["cni.dev/valid-attachments", "cni.dev/attachments"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], frozenset()),
        (None, frozenset()),
        ([{"containerID": "a", "ifname": "eth0", "x": 1}] * 2, frozenset({Attachment("a", "eth0")})),
    ],
)
def test_attachments_that_the_runtime_still_has(key, value, expected):
    assert parse_request(request("GC", config(**{key: value}))).config.valid_attachments == expected


def test_both_spellings_of_attachments_are_merged():
    stdin = config(
        **{
            "cni.dev/valid-attachments": [{"containerID": "a", "ifname": "i"}],
            "cni.dev/attachments": [{"containerID": "b", "ifname": "i"}],
        }
    )
    expected = frozenset({Attachment("a", "i"), Attachment("b", "i")})
    assert parse_request(request("GC", stdin)).config.valid_attachments == expected


def test_a_gc_without_attachments_frees_nothing_by_mistake():
    error = refusal(request("GC", config()))
    assert (error.cni_code, "valid-attachments" in error.message) == (7, True)


@pytest.mark.parametrize("value", [1, "x", {}, [1], [{"containerID": "a"}], [{"containerID": 1, "ifname": "i"}]])
def test_attachments_that_are_none(value):
    error = refusal(request("GC", config(**{"cni.dev/valid-attachments": value})))
    assert (error.cni_code, "valid-attachments" in error.message) == (7, True)


# ---- prevResult


def test_a_result_in_the_reference_s_layout_tells_the_wiring():
    parsed = parse_request(request("DEL"))
    assert parsed.recorded_wiring == RecordedWiring("eni0d7763386da", IPv4Interface("10.0.0.5/32"), 2, 0)


def change(**entries: Any) -> dict[str, Any]:
    return PREV_RESULT | entries


INTERFACES = PREV_RESULT["interfaces"]


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(change(interfaces=INTERFACES[:2]), id="no dummy"),
        pytest.param(
            change(interfaces=[*INTERFACES[:2], {"name": "dummy0", "mac": "0", "sandbox": "2"}]), id="real dummy0"
        ),
        pytest.param(change(interfaces=[*INTERFACES[:2], INTERFACES[2] | {"mac": "x"}]), id="vlan no number"),
        pytest.param(change(interfaces=[*INTERFACES[:2], INTERFACES[2] | {"sandbox": ""}]), id="device no number"),
        pytest.param(change(ips=[]), id="no address"),
        pytest.param(change(ips=PREV_RESULT["ips"] * 2), id="two addresses"),
        pytest.param(change(interfaces=[INTERFACES[1]] * 2 + [INTERFACES[2]]), id="no host end"),
        pytest.param({}, id="empty"),
        pytest.param({"interfaces": None, "ips": None}, id="nulls"),
    ],
)
def test_other_results_tell_no_wiring(result):
    assert parse_request(request("DEL", config(prevResult=result))).recorded_wiring is None


def test_ipv6_results_are_read():
    ips = [{"address": "2001:db8::5/128", "interface": 1}]
    wiring = parse_request(request("DEL", config(prevResult=change(ips=ips)))).recorded_wiring
    assert wiring is not None
    assert wiring.address == IPv6Interface("2001:db8::5/128")


def test_another_interface_than_the_result_s_tells_no_wiring():
    assert parse_request(request("DEL", ifname="net1")).recorded_wiring is None


# ---- versions of answers


@pytest.mark.parametrize(
    ("stdin", "version"),
    [
        (config(cniVersion="0.3.1"), "0.3.1"),
        (config(cniVersion="0.2.0"), "1.1.0"),
        (config(cniVersion=[]), "1.1.0"),
        (b"", "1.1.0"),
        (b"\xff", "1.1.0"),
    ],
)
def test_version_of_an_answer(stdin, version):
    assert answer_version(stdin) == version


def test_requests_are_values():
    assert parse_request(request()) == parse_request(request())
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse_request(request()).ifname = "x"  # type: ignore[misc]


@pytest.mark.parametrize("command", ["ADD", "DEL", "GC"])
@pytest.mark.parametrize("member", ["cniVersion", "name"])
def test_strings_that_are_not_utf8_are_not_json(command, member):
    broken = config(**COMPLETE | {member: "%"}).replace(b"%", b"\xff")
    assert refusal(request(command, broken)).cni_code == CniCode.DECODING_FAILURE
    assert answer_version(broken) in SUPPORTED_VERSIONS
