"""The table of settings agrees with itself, with the reference's variables, and with what the agent reads."""

import ast
import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from vpc_cni.settings import (
    SETTINGS,
    CloudSettings,
    HostSettings,
    KubernetesSettings,
    NetworkSettings,
    PoolSettings,
    Setting,
    Standing,
    load_agent_settings,
)

ROOT = Path(__file__).resolve().parents[3]

# amazon-vpc-cni-k8s README.md and release notes: every variable up to 1.23.
REFERENCE = [
    "ADDITIONAL_ENI_TAGS",
    "ANNOTATE_POD_IP",
    "AWS_CLUSTER_ID",
    "AWS_EC2_ENDPOINT",
    "AWS_EXTERNAL_SERVICE_CIDRS",
    "AWS_MANAGE_ENIS_NON_SCHEDULABLE",
    "AWS_REGION",
    "AWS_VPC_CNI_NODE_PORT_SUPPORT",
    "AWS_VPC_ENI_MTU",
    "AWS_VPC_K8S_CNI_BACKING_STORE",
    "AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER",
    "AWS_VPC_K8S_CNI_CONNMARK",
    "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG",
    "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS",
    "AWS_VPC_K8S_CNI_EXTERNALSNAT",
    "AWS_VPC_K8S_CNI_LOGLEVEL",
    "AWS_VPC_K8S_CNI_LOG_FILE",
    "AWS_VPC_K8S_CNI_RANDOMIZESNAT",
    "AWS_VPC_K8S_CNI_VETHPREFIX",
    "AWS_VPC_K8S_EGRESS_V4_PLUGIN_LOG_FILE",
    "AWS_VPC_K8S_EGRESS_V6_PLUGIN_LOG_FILE",
    "AWS_VPC_K8S_PLUGIN_LOG_FILE",
    "AWS_VPC_K8S_PLUGIN_LOG_LEVEL",
    "CLUSTER_ENDPOINT",
    "CLUSTER_NAME",
    "DISABLE_INTROSPECTION",
    "DISABLE_LEAKED_ENI_CLEANUP",
    "DISABLE_METRICS",
    "DISABLE_NETWORK_RESOURCE_PROVISIONING",
    "DISABLE_POD_V6",
    "DISABLE_TCP_EARLY_DEMUX",
    "ENABLE_BANDWIDTH_PLUGIN",
    "ENABLE_IMDS_ONLY_MODE",
    "ENABLE_IPv4",
    "ENABLE_IPv6",
    "ENABLE_MULTI_NIC",
    "ENABLE_NFTABLES",
    "ENABLE_POD_ENI",
    "ENABLE_PREFIX_DELEGATION",
    "ENABLE_SUBNET_DISCOVERY",
    "ENABLE_V4_EGRESS",
    "ENABLE_V6_EGRESS",
    "ENI_CONFIG_ANNOTATION_DEF",
    "ENI_CONFIG_LABEL_DEF",
    "HOST_CNI_BIN_PATH",
    "HOST_CNI_CONFDIR_PATH",
    "HTTP_TIMEOUT",
    "INCLUDE_COOLDOWN_IPS_IN_POOL_SIZE",
    "INTROSPECTION_BIND_ADDRESS",
    "IP_COOLDOWN_PERIOD",
    "MANAGE_UNTAGGED_ENI",
    "MAX_ENI",
    "METRIC_UPDATE_INTERVAL",
    "MINIMUM_IP_TARGET",
    "MY_NODE_NAME",
    "MY_POD_NAME",
    "NETWORK_POLICY_ENFORCING_MODE",
    "POD_MTU",
    "POD_SECURITY_GROUP_ENFORCING_MODE",
    "USE_CLOUDWATCH",
    "USE_PROMETHEUS",
    "VPC_CNI_VERSION",
    "WARM_ENI_TARGET",
    "WARM_IP_TARGET",
    "WARM_PREFIX_TARGET",
]


def test_every_variable_of_the_reference_is_known() -> None:
    names = {setting.name for setting in SETTINGS}
    assert sorted(set(REFERENCE) - names) == []
    assert sorted(name for name in names - set(REFERENCE) if not name.startswith("VPC_CNI_")) == []


def test_names_are_unique() -> None:
    assert [name for name, count in Counter(setting.name for setting in SETTINGS).items() if count > 1] == []


def test_the_agent_reads_exactly_the_variables_that_are_said_to_be_in_use() -> None:
    used = {each.name for each in SETTINGS if each.concerns_agent and each.standing is not Standing.NO_EFFECT}
    assert set(load_agent_settings({"ENABLE_IPv4": "true"}).values) == used


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_defaults_are_values(setting: Setting[object]) -> None:
    assert setting.default or setting.unset, "an empty default must be put into words"
    for text in (setting.default, setting.manifest):
        if text:
            setting.kind.parse(text)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_texts_are_fit_to_print(setting: Setting[object]) -> None:
    assert setting.meaning.endswith(".")
    assert bool(setting.why) == (setting.standing is not Standing.BUILT or bool(setting.built))
    assert not setting.why.endswith("."), "it stands in the middle of a sentence"


# Read from the environment by vpc_cni.ec2 itself; the field is there for its check.
READ_ELSEWHERE = {"ec2_endpoint"}


def test_every_setting_of_the_agent_is_acted_upon() -> None:
    """A value that nobody looks at would be a setting that is silently ignored."""
    sources = (ROOT / "src" / "vpc_cni" / "agent").rglob("*.py")
    attributes = {
        node.attr
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }
    parts = (PoolSettings, NetworkSettings, CloudSettings, HostSettings, KubernetesSettings)
    names = {field.name for part in parts for field in dataclasses.fields(part)}
    assert names - attributes - READ_ELSEWHERE == set()
