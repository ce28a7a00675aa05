"""The agent's settings as a whole: defaults, refusals, notices."""

import json
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from vpc_cni.errors import CniCode, ConfigurationError
from vpc_cni.settings import SETTINGS, AgentSettings, load_agent_settings

LEAST = {"ENABLE_IPv4": "true"}


def load(**variables: str) -> AgentSettings:
    return load_agent_settings({**LEAST, **variables})


def refusal(**variables: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(**variables)
    return caught.value.message


def test_defaults_are_those_of_the_reference() -> None:
    settings = load()
    pool, network, host = settings.pool, settings.network, settings.host
    assert (pool.warm_eni_target, pool.warm_ip_target, pool.minimum_ip_target) == (1, 0, 0)
    assert (pool.max_eni, pool.max_pods, pool.cooldown_seconds) == (None, None, 30)
    assert (pool.manage_untagged_eni, pool.provisioning) == (True, True)
    assert (network.eni_mtu_bytes, network.pod_mtu_bytes, network.veth_prefix) == (9001, 9001, "eni")
    assert (network.connmark, network.randomize_snat) == (0x80, "prng")
    assert (network.external_snat, network.node_port_support) == (False, True)
    assert host.metrics_bind == ":61678"
    assert host.introspection_bind == "127.0.0.1:61679"
    assert host.backing_store == Path("/var/run/aws-node/ipam.json")
    assert settings.notices == ()


def test_empty_values_count_as_not_set() -> None:
    empty = {setting.name: "" for setting in SETTINGS if not setting.kind.keeps_empty}
    assert load_agent_settings({**empty, **LEAST}) == load()


def test_an_empty_plugin_log_file_means_none() -> None:
    assert load(AWS_VPC_K8S_PLUGIN_LOG_FILE="").host.plugin_log_file == ""


def test_values_reach_their_fields() -> None:
    settings = load(
        WARM_IP_TARGET="5",
        MAX_ENI="3",
        VPC_CNI_MAX_PODS="110",
        IP_COOLDOWN_PERIOD="0",
        DISABLE_NETWORK_RESOURCE_PROVISIONING="t",
        AWS_VPC_ENI_MTU="1500",
        AWS_VPC_K8S_CNI_CONNMARK="0x400",
        AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS="10.9.0.0/16",
        ADDITIONAL_ENI_TAGS='{"team":"net"}',
        DISABLE_METRICS="true",
        DISABLE_LEAKED_ENI_CLEANUP="true",
        VPC_CNI_VERSION="v1.16.2",
        VPC_CNI_RUN_DIR="/run/other",
        AWS_VPC_K8S_PLUGIN_LOG_LEVEL="warn",
    )
    assert (settings.pool.warm_ip_target, settings.pool.max_eni, settings.pool.max_pods) == (5, 3, 110)
    assert (settings.pool.cooldown_seconds, settings.pool.provisioning) == (0, False)
    assert (settings.network.eni_mtu_bytes, settings.network.pod_mtu_bytes) == (1500, 1500)
    assert settings.network.connmark == 0x400
    assert settings.network.exclude_snat_cidrs == (IPv4Network("10.9.0.0/16"),)
    assert settings.cloud.additional_eni_tags == (("team", "net"),)
    assert settings.cloud.leak_cleanup_seconds is None
    assert settings.cloud.announced_version == "v1.16.2"
    assert settings.host.metrics_bind is None
    assert settings.host.socket_path == Path("/run/other/vpc-cni.sock")
    assert settings.host.agent_socket_on_host == settings.host.socket_path
    assert settings.host.introspection_socket == Path("/run/other/introspect.sock")
    assert settings.host.plugin_log_level == "WARN"


@pytest.mark.parametrize("text", ["-1", "0"])
def test_max_eni_below_one_leaves_it_to_the_instance_type(text: str) -> None:
    assert load(MAX_ENI=text).pool.max_eni is None


def test_all_wrong_variables_are_named_in_one_error() -> None:
    wrong = {"WARM_ENI_TARGET": "many", "AWS_VPC_ENI_MTU": "65000", "AWS_VPC_K8S_CNI_RANDOMIZESNAT": "dice"}
    message = refusal(ENABLE_IPv6="true", **wrong)
    assert message.startswith("4 settings are wrong")
    for name, value in wrong.items():
        assert f'{name}="{value}": use ' in message
    assert "ENABLE_IPv6" in message


def test_a_refusal_says_value_bounds_and_where_to_change_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(AWS_VPC_ENI_MTU="65000")
    assert 'AWS_VPC_ENI_MTU="65000": use a whole number from 576 to 9001' in caught.value.message
    assert "set env daemonset/aws-node" in caught.value.hint
    assert caught.value.cni_code is CniCode.INVALID_NETWORK_CONFIG
    assert not caught.value.retryable


def test_a_cidr_list_names_its_bad_item() -> None:
    assert "'10.0.0.0/33' is none" in refusal(AWS_EXTERNAL_SERVICE_CIDRS="10.1.0.0/16, 10.0.0.0/33")


def test_plugin_log_on_stdout_is_refused_with_the_reason() -> None:
    assert "carries the result" in refusal(AWS_VPC_K8S_PLUGIN_LOG_FILE="stdout")


@pytest.mark.parametrize("text", ["v1 beta", "vers\u00efon", "v" * 65])
def test_a_version_that_no_header_can_carry_is_refused(text: str) -> None:
    assert "VPC_CNI_VERSION" in refusal(VPC_CNI_VERSION=text)


def test_a_long_value_is_shortened_in_the_message() -> None:
    message = refusal(CLUSTER_NAME="a\n" + "x" * 5000)
    assert len(message) < 400


@pytest.mark.parametrize("text", [None, "", "false", "0"])
def test_without_ipv4_the_error_explains_the_default(text: str | None) -> None:
    environ = {} if text is None else {"ENABLE_IPv4": text}
    with pytest.raises(ConfigurationError, match=r"(?s)ENABLE_IPv4.*counts as false.*set it to true"):
        load_agent_settings(environ)


@pytest.mark.parametrize(
    "name",
    [
        "ENABLE_IPv6",
        "ENABLE_PREFIX_DELEGATION",
        "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG",
        "ENABLE_POD_ENI",
        "ENABLE_MULTI_NIC",
        "ENABLE_V6_EGRESS",
        "ENABLE_IMDS_ONLY_MODE",
        "INCLUDE_COOLDOWN_IPS_IN_POOL_SIZE",
    ],
)
def test_modes_that_are_not_built_are_refused_by_name(name: str) -> None:
    message = refusal(**{name: "true"})
    assert f'{name}="true"' in message
    assert "set it to false, or remove the variable" in message
    assert load(**{name: "false"}) == load()


def test_network_policy_is_refused_where_pods_would_start_open_instead_of_closed() -> None:
    assert "NETWORK_POLICY_ENFORCING_MODE" in refusal(NETWORK_POLICY_ENFORCING_MODE="strict")
    assert load(NETWORK_POLICY_ENFORCING_MODE="standard") == load(NETWORK_POLICY_ENFORCING_MODE="none")


def test_the_manifest_of_the_reference_is_accepted_without_a_word() -> None:
    manifest = {setting.name: setting.manifest for setting in SETTINGS if setting.manifest is not None}
    downward = {"MY_NODE_NAME": "ip-10-0-1-7", "MY_POD_NAME": "aws-node-x1y2z", "HOST_CNI_BIN_PATH": "/host/bin"}
    assert load_agent_settings({**manifest, **downward, "ADDITIONAL_ENI_TAGS": "{}"}).notices == ()


NOTICED = [
    ("ENI_CONFIG_LABEL_DEF", "topology.kubernetes.io/zone"),
    ("ENABLE_SUBNET_DISCOVERY", "true"),
    ("WARM_PREFIX_TARGET", "4"),
    ("ENABLE_V4_EGRESS", "false"),
    ("ENABLE_NFTABLES", "true"),
]


@pytest.mark.parametrize(("name", "text"), NOTICED)
def test_what_has_no_effect_is_said_and_accepted(name: str, text: str) -> None:
    (notice,) = load(**{name: text}).notices
    assert notice.startswith(f"{name}={json.dumps(text)} has no effect: ")


def test_subnet_discovery_is_reported_where_someone_asks_for_it() -> None:
    (notice,) = load(ENABLE_SUBNET_DISCOVERY="true").notices
    assert "subnet discovery is not built yet" in notice
    assert load(ENABLE_SUBNET_DISCOVERY="false").notices == load().notices == ()


@pytest.mark.parametrize("name", ["ENABLE_SUBNET_DISCOVERY", "ENABLE_NFTABLES", "ENABLE_V4_EGRESS"])
def test_what_has_no_effect_must_still_be_a_value(name: str) -> None:
    assert name in refusal(**{name: "perhaps"})


@pytest.mark.parametrize("name", ["METRIC_UPDATE_INTERVAL", "USE_CLOUDWATCH", "DISABLE_TCP_EARLY_DEMUX"])
def test_variables_of_other_containers_are_not_the_agents_business(name: str) -> None:
    assert load(**{name: "nonsense"}) == load()


def test_a_misspelt_variable_of_ours_is_noticed_with_the_right_name() -> None:
    (notice,) = load(VPC_CNI_MAXPODS="3").notices
    assert "VPC_CNI_MAXPODS" in notice
    assert "did you mean VPC_CNI_MAX_PODS?" in notice


def test_links_of_a_service_called_vpc_cni_are_not_taken_for_settings() -> None:
    links = {"VPC_CNI_SERVICE_HOST": "10.0.0.1", "VPC_CNI_PORT": "tcp://10.0.0.1:80", "VPC_CNI_PORT_80_TCP_ADDR": "x"}
    assert load(**links).notices == ()


def test_pods_with_larger_packets_than_their_eni_are_noticed() -> None:
    (notice,) = load(AWS_VPC_ENI_MTU="1500", POD_MTU="9001").notices
    assert "POD_MTU=9001" in notice
