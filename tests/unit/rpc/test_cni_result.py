"""What the plugin prints, in each version of the specification."""

import json
from ipaddress import IPv4Address
from typing import Any

import pytest

from vpc_cni.errors import (
    CapacityError,
    CloudError,
    CniCode,
    ConfigurationError,
    HostError,
    InternalError,
    KernelError,
    Shortage,
)
from vpc_cni.rpc import Request, Result
from vpc_cni.rpc.cni import SUPPORTED_VERSIONS, add_result, encode_error, encode_success, parse_request
from vpc_cni.rpc.cni.prev_result import RecordedWiring


def add_in(
    version: str, *, args: str = "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0", **members: Any
) -> dict[str, Any]:
    config = json.dumps({"cniVersion": version, "name": "aws-cni"} | members).encode()
    parsed = parse_request(Request("ADD", config, "c0ffee", "/run/netns/a", "eth0", args))
    return add_result(parsed, host_ifname="eni0d7763386da", address=IPv4Address("10.0.0.5"), device_number=2)


HOST = {"name": "eni0d7763386da"}
CONTAINER = {"name": "eth0", "sandbox": "/run/netns/a"}
DUMMY = {"name": "dummy0d7763386da", "mac": "0", "sandbox": "2"}
MTU = {"mtu": 9001}
ADDRESS = {"address": "10.0.0.5/32", "interface": 1}

EXPECTED = {
    "0.3.0": ([HOST, CONTAINER, DUMMY], {"version": "4"} | ADDRESS),
    "0.3.1": ([HOST, CONTAINER, DUMMY], {"version": "4"} | ADDRESS),
    "0.4.0": ([HOST, CONTAINER, DUMMY], {"version": "4"} | ADDRESS),
    "1.0.0": ([HOST, CONTAINER, DUMMY], ADDRESS),
    "1.1.0": ([HOST | MTU, CONTAINER | MTU, DUMMY], ADDRESS),
}


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_result_of_an_add(version):
    interfaces, ip = EXPECTED[version]
    assert add_in(version) == {"cniVersion": version, "interfaces": interfaces, "ips": [ip], "dns": {}}


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_a_result_tells_a_later_del_its_wiring(version):
    config = json.dumps({"cniVersion": version, "name": "aws-cni", "prevResult": add_in(version)}).encode()
    wiring = parse_request(Request("DEL", config, "c0ffee", ifname="eth0")).recorded_wiring
    assert wiring == RecordedWiring("eni0d7763386da", wiring.address, 2, 0)
    assert str(wiring.address) == "10.0.0.5/32"


def test_the_dummy_entry_has_a_name_without_kubernetes_too():
    [_, _, dummy] = add_in("1.0.0", args="")["interfaces"]
    assert dummy["name"].startswith("dummy")
    assert len(dummy["name"]) == 16


def test_the_mtu_is_the_configured_one():
    assert add_in("1.1.0", mtu="1500")["interfaces"][0]["mtu"] == 1500


def test_success_is_printed_for_an_add_only():
    assert encode_success() == Result(0, b"")
    assert json.loads(encode_success(add_in("1.0.0")).stdout) == add_in("1.0.0")


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("m", hint="h"), 7),
        (HostError("m", hint="h"), 5),
        (CapacityError("m", shortage=Shortage.SUBNET_FULL, hint="h"), 11),
        (CloudError("m", operation="CreateNetworkInterface", hint="h"), 102),
        (KernelError("m", errno=1, hint="h"), 101),
        (InternalError("m", hint="h"), 100),
        (InternalError("m", hint="h", cni_code=CniCode.NOT_AS_CONFIGURED), 103),
    ],
)
def test_an_error_is_printed_with_its_code_and_hint(version, error, code):
    answer = encode_error(json.dumps({"cniVersion": version}).encode(), error)
    assert answer.exit_code == 1
    assert json.loads(answer.stdout) == {"cniVersion": version, "code": code, "msg": "m", "details": "h"}


def test_an_error_that_is_none_of_ours_tells_no_secrets():
    error = json.loads(encode_error(b"rubbish", KeyError("token=secret")).stdout)
    assert (error["cniVersion"], error["code"]) == ("1.1.0", 100)
    assert "secret" not in str(error)
    assert "KeyError" in error["msg"]
