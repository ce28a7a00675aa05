"""Reading a conflist and deriving what one plugin is told."""

import json

import pytest

from vpc_cni.errors import CniCode, ConfigurationError
from vpc_cni.lab.runtime import Attachment, derive_plugin_config, parse_network_config
from vpc_cni.lab.runtime.config import version_at_least

CONFLIST = {
    "cniVersion": "1.0.0",
    "name": "net",
    "plugins": [
        {"type": "first", "mtu": "9001", "capabilities": {"portMappings": False}},
        {"type": "portmap", "snat": True, "capabilities": {"portMappings": True, "bandwidth": True}},
    ],
}


def parse(**changes):
    return parse_network_config(json.dumps({**CONFLIST, **changes}), "test.conflist")


def test_a_list_is_read_in_the_order_of_add():
    network = parse(disableCheck=True)
    assert [plugin.type for plugin in network.plugins] == ["first", "portmap"]
    assert (network.name, network.cni_version, network.disable_check) == ("net", "1.0.0", True)


@pytest.mark.parametrize(
    ("given", "read"), [(True, True), ("true", True), ("True", True), ("false", False), (0, False)]
)
def test_disable_check_may_be_text(given, read):
    assert parse(disableCheck=given).disable_check is read


def test_name_version_and_previous_result_are_put_in_and_capabilities_taken_out():
    network = parse()
    previous = {"cniVersion": "1.0.0", "ips": []}
    config = derive_plugin_config(network, network.plugins[1], {}, previous)
    assert config == {
        "type": "portmap",
        "snat": True,
        "name": "net",
        "cniVersion": "1.0.0",
        "prevResult": previous,
    }


def test_a_plugin_gets_only_the_capabilities_it_declares_as_true():
    network = parse()
    wanted = {"portMappings": [{"hostPort": 80}], "dns": {}}
    assert "runtimeConfig" not in derive_plugin_config(network, network.plugins[0], wanted, None)
    portmap = derive_plugin_config(network, network.plugins[1], wanted, None)
    assert portmap["runtimeConfig"] == {"portMappings": [{"hostPort": 80}]}


def test_deriving_leaves_the_list_unchanged():
    network = parse()
    derive_plugin_config(network, network.plugins[1], {"portMappings": []}, {"ips": []})
    assert dict(network.plugins[1].fields) == CONFLIST["plugins"][1]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", CniCode.DECODING_FAILURE),
        ("{", CniCode.DECODING_FAILURE),
        ("[]", CniCode.INVALID_NETWORK_CONFIG),
        ('{"name": "n", "cniVersion": "1.0.0", "plugins": []}', CniCode.INVALID_NETWORK_CONFIG),
        ('{"name": "n", "cniVersion": "1.0.0", "plugins": [{}]}', CniCode.INVALID_NETWORK_CONFIG),
        ('{"cniVersion": "1.0.0", "plugins": [{"type": "a"}]}', CniCode.INVALID_NETWORK_CONFIG),
        ('{"name": "n", "cniVersion": "1.0.0", "plugins": ["a"]}', CniCode.INVALID_NETWORK_CONFIG),
        (
            '{"name": "n", "cniVersion": "1.0.0", "plugins": [{"type": "a", "capabilities": []}]}',
            CniCode.INVALID_NETWORK_CONFIG,
        ),
    ],
    ids=["empty", "broken", "no object", "no plugins", "no type", "no name", "text plugin", "capabilities list"],
)
def test_a_broken_list_is_refused_with_its_name_in_the_message(text, code):
    with pytest.raises(ConfigurationError, match=r"x\.conflist") as caught:
        parse_network_config(text, "x.conflist")
    assert caught.value.cni_code == code


def test_the_environment_has_all_variables_of_the_specification():
    attachment = Attachment("abc", "eth0", "/run/netns/x", (("IgnoreUnknown", "1"), ("K8S_POD_NAME", "web-0")))
    assert attachment.environment("ADD", "/opt/cni/bin") == {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "abc",
        "CNI_NETNS": "/run/netns/x",
        "CNI_IFNAME": "eth0",
        "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=web-0",
        "CNI_PATH": "/opt/cni/bin",
    }


@pytest.mark.parametrize(
    ("version", "minimum", "answer"),
    [("1.1.0", "1.1.0", True), ("0.4.0", "1.1.0", False), ("0.10.0", "0.4.0", True), ("1.0.0", "0.4.0", True)],
)
def test_versions_are_compared_by_number(version, minimum, answer):
    assert version_at_least(version, minimum) is answer


def test_a_version_that_is_none_is_refused():
    with pytest.raises(ConfigurationError, match=r"1\.x") as caught:
        version_at_least("1.x", "0.4.0")
    assert caught.value.cni_code == CniCode.INCOMPATIBLE_VERSION
