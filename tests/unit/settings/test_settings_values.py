"""What each kind of value takes and refuses, as tables."""

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from vpc_cni.settings import SETTINGS, Setting, Unacceptable

_BY_NAME = {setting.name: setting for setting in SETTINGS}


def setting(name: str) -> Setting[object]:
    return _BY_NAME[name]


ACCEPTED = [
    *[("ENABLE_IPv4", text, True) for text in ("1", "t", "T", "TRUE", "true", "True")],
    *[("ENABLE_IPv4", text, False) for text in ("0", "f", "F", "FALSE", "false", "False")],
    ("WARM_IP_TARGET", "0", 0),
    ("WARM_IP_TARGET", "007", 7),
    ("WARM_IP_TARGET", "+5", 5),
    ("MAX_ENI", "-1", -1),
    ("HTTP_TIMEOUT", "10", 10),
    ("AWS_VPC_ENI_MTU", "576", 576),
    ("AWS_VPC_ENI_MTU", "9001", 9001),
    ("AWS_VPC_K8S_CNI_CONNMARK", "0x80", 0x80),
    ("AWS_VPC_K8S_CNI_CONNMARK", "128", 0x80),
    ("AWS_VPC_K8S_CNI_CONNMARK", "0200", 0x80),
    ("AWS_VPC_K8S_CNI_CONNMARK", "0o200", 0x80),
    ("AWS_VPC_K8S_CNI_CONNMARK", "0b10000000", 0x80),
    ("AWS_VPC_K8S_CNI_CONNMARK", "0xffffffff", 0xFFFFFFFF),
    ("AWS_VPC_K8S_CNI_LOGLEVEL", "Info", "info"),
    ("AWS_VPC_K8S_CNI_LOG_FILE", "stdout", "stdout"),
    ("AWS_VPC_K8S_CNI_LOG_FILE", "/var/log/a.log", "/var/log/a.log"),
    ("AWS_VPC_K8S_PLUGIN_LOG_FILE", "stderr", "stderr"),
    ("AWS_VPC_K8S_PLUGIN_LOG_FILE", "", ""),
    ("AWS_VPC_K8S_CNI_VETHPREFIX", "eni", "eni"),
    ("AWS_VPC_K8S_CNI_VETHPREFIX", "veth", "veth"),
    ("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "10.1.0.0/16", (IPv4Network("10.1.0.0/16"),)),
    (
        "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS",
        " 10.1.2.3/16 ,192.168.0.0/24,,10.1.0.0/16",
        (IPv4Network("10.1.0.0/16"), IPv4Network("192.168.0.0/24")),
    ),
    ("AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "0.0.0.0/0", (IPv4Network("0.0.0.0/0"),)),
    ("ADDITIONAL_ENI_TAGS", "{}", ()),
    ("ADDITIONAL_ENI_TAGS", '{"b":"2","a":""}', (("a", ""), ("b", "2"))),
    ("AWS_EC2_ENDPOINT", "http://127.0.0.1:4566", "http://127.0.0.1:4566"),
    ("AWS_EC2_ENDPOINT", "ec2.example.test", "ec2.example.test"),
    ("INTROSPECTION_BIND_ADDRESS", ":61679", ":61679"),
    ("INTROSPECTION_BIND_ADDRESS", "unix:/run/i.sock", "unix:/run/i.sock"),
    ("AWS_VPC_K8S_CNI_BACKING_STORE", "/var/run/ipam.json", Path("/var/run/ipam.json")),
    ("VPC_CNI_RUN_DIR", "/" + "r" * 90, Path("/" + "r" * 90)),
    ("CLUSTER_NAME", "production œ", "production œ"),
    ("NETWORK_POLICY_ENFORCING_MODE", "standard", "standard"),
]


@pytest.mark.parametrize(("name", "text", "value"), ACCEPTED)
def test_text_becomes_the_value(name: str, text: str, value: object) -> None:
    assert setting(name).kind.parse(text) == value


REFUSED = [
    *[("ENABLE_IPv4", text) for text in ("yes", "on", "tRue", "TrUe", " true", "true ", "2", '"true"')],
    *[("WARM_IP_TARGET", text) for text in ("-1", "1.5", "1e3", "1_000", " 1", "٣", "ten", "0x10", "2147483648")],
    ("MAX_ENI", "-2"),
    ("IP_COOLDOWN_PERIOD", "-1"),
    ("IP_COOLDOWN_PERIOD", "30s"),
    ("HTTP_TIMEOUT", "9"),
    ("VPC_CNI_MAX_PODS", "0"),
    ("AWS_VPC_ENI_MTU", "575"),
    ("AWS_VPC_ENI_MTU", "9002"),
    ("POD_MTU", "jumbo"),
    *[("AWS_VPC_K8S_CNI_CONNMARK", text) for text in ("0", "-1", "0x100000000", "0x", "128.0", "08", "mark")],
    ("AWS_VPC_K8S_CNI_RANDOMIZESNAT", "random"),
    ("AWS_VPC_K8S_CNI_LOGLEVEL", "verbose"),
    ("AWS_VPC_K8S_CNI_LOG_FILE", "ipamd.log"),
    ("AWS_VPC_K8S_PLUGIN_LOG_FILE", "stdout"),
    ("AWS_VPC_K8S_PLUGIN_LOG_FILE", "plugin.log"),
    *[("AWS_VPC_K8S_CNI_VETHPREFIX", text) for text in ("", "eth", "lo", "vlan", "longer", "a/b", "a b", "é")],
    *[
        ("AWS_EXTERNAL_SERVICE_CIDRS", text)
        for text in ("10.0.0.0", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/255.0.0.0", "256.0.0.0/8", "fd00::/8", "a")
    ],
    ("AWS_EXTERNAL_SERVICE_CIDRS", "10.0.0.0/8;11.0.0.0/8"),
    *[("ADDITIONAL_ENI_TAGS", text) for text in ("team=net", "[]", "1", '{"a":1}', '{"a":null}', '{"":"x"}', "{")],
    ("ADDITIONAL_ENI_TAGS", '{"node.k8s.amazonaws.com/x":"y"}'),
    ("ADDITIONAL_ENI_TAGS", '{"AWS:x":"y"}'),
    ("ADDITIONAL_ENI_TAGS", '{"%s":"y"}' % ("k" * 129)),
    ("ADDITIONAL_ENI_TAGS", '{"k":"%s"}' % ("v" * 257)),
    *[
        ("AWS_EC2_ENDPOINT", text)
        for text in ("ftp://host", "https://", "http://host:port", "http://h/?q=1", "http://[")
    ],
    *[
        ("INTROSPECTION_BIND_ADDRESS", text)
        for text in ("61679", "host:", "host:65536", "host:http", "unix:run", "h:²")
    ],
    ("INTROSPECTION_BIND_ADDRESS", "unix:/" + "x" * 107),
    ("AWS_VPC_K8S_CNI_BACKING_STORE", "ipam.json"),
    ("VPC_CNI_RUN_DIR", "/" + "r" * 91),
    ("VPC_CNI_AGENT_SOCKET", "/" + "s" * 107),
    ("CLUSTER_NAME", "two\nlines"),
    ("CLUSTER_NAME", "no utf-8: \udcff"),
    ("ADDITIONAL_ENI_TAGS", '{"k":"\\ud800"}'),
    ("NETWORK_POLICY_ENFORCING_MODE", "lax"),
    ("POD_SECURITY_GROUP_ENFORCING_MODE", "loose"),
]


@pytest.mark.parametrize(("name", "text"), REFUSED)
def test_text_is_refused(name: str, text: str) -> None:
    with pytest.raises(Unacceptable):
        setting(name).kind.parse(text)


def test_more_tags_than_ec2_takes_are_refused() -> None:
    tags = "{" + ",".join(f'"k{number}":""' for number in range(41)) + "}"
    with pytest.raises(Unacceptable, match="at most 40"):
        setting("ADDITIONAL_ENI_TAGS").kind.parse(tags)
