"""Configuration values and their schema."""

import json
import re
from pathlib import Path

import awscli
import pytest

from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.manifests import (
    Configuration,
    EniConfig,
    configuration_schema,
    packaged_catalogue,
    parse_addon_version,
    parse_configuration_text,
    read_configuration,
    schema_text,
)

CATALOGUE = packaged_catalogue()
OLD, MIDDLE, BASE = (CATALOGUE.find(parse_addon_version(text)) for text in ("v1.12.6", "v1.15.1", "v1.16.2"))


def test_the_schema_equals_the_one_that_eks_publishes() -> None:
    # The AWS CLI carries the answer of the real service for this version as an example.
    page = Path(awscli.__file__).parent / "examples" / "eks" / "describe-addon-configuration.rst"
    found = re.search(r'"addonVersion": "v1\.15\.1-eksbuild\.1",\s+"configurationSchema": (".*")\n', page.read_text())
    assert found
    assert schema_text(CATALOGUE.find(parse_addon_version("v1.15.1-eksbuild.1"))) == json.loads(found[1])


def test_the_schema_of_an_old_version_leaves_out_what_came_later() -> None:
    definitions = configuration_schema(OLD)["definitions"]
    assert "nodeAgent" not in definitions["VpcCni"]["properties"]
    assert "NodeAgent" not in definitions
    assert "WARM_IP_TARGET" in definitions["Env"]["properties"]
    assert "IP_COOLDOWN_PERIOD" not in definitions["Env"]["properties"]


def test_the_schema_of_a_later_version_has_more() -> None:
    middle, base = (configuration_schema(profile)["definitions"]["VpcCni"]["properties"] for profile in (MIDDLE, BASE))
    assert set(base) - set(middle) == {
        "branchENICooldown",
        "enableWindowsPrefixDelegation",
        "minimumWindowsIPTarget",
        "warmWindowsIPTarget",
        "warmWindowsPrefixTarget",
    }


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            {"nodeSelector": {}},
            "$.nodeSelector: is not defined in the schema and the schema does not allow additional properties",
        ),
        (
            {"Init": {}},
            "$.Init: is not defined in the schema and the schema does not allow additional properties",
        ),
        ({"env": {"WARM_IP_TARGET": 5}}, "$.env.WARM_IP_TARGET: integer found, string expected"),
        ({"env": {"ENABLE_POD_ENI": True}}, "$.env.ENABLE_POD_ENI: boolean found, string expected"),
        ({"env": {"ENABLE_POD_ENI": "maybe"}}, '$.env.ENABLE_POD_ENI: "maybe" is no boolean, use true or false'),
        ({"env": {"WARM_IP_TARGET": "five"}}, '$.env.WARM_IP_TARGET: "five" is no whole number'),
        ({"env": None}, "$.env: null found, object expected"),
        ({"affinity": "linux"}, "$.affinity: string found, [object, null] expected"),
        ({"livenessProbeTimeoutSeconds": True}, "$.livenessProbeTimeoutSeconds: boolean found, integer expected"),
        ({"tolerations": [{}, "all"]}, "$.tolerations[1]: string found, object expected"),
        (
            {"eniConfig": {"create": True, "subnets": {"a": {"id": "s"}}}},
            "$.eniConfig.region: is missing but it is required",
        ),
        (
            {"eniConfig": {"create": True, "region": "r", "subnets": {}}},
            "$.eniConfig.subnets: should have a minimum of 1 properties",
        ),
        (
            {"eniConfig": {"create": True, "region": "r", "subnets": {"a": {"id": 1}}}},
            "$.eniConfig.subnets.a.id: integer found, string expected",
        ),
    ],
)
def test_what_does_not_fit_is_named_in_the_words_of_eks(values: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(values, BASE)
    assert caught.value.message == (
        "ConfigurationValue provided in request is not supported: "
        f"Json schema validation failed with error: [{problem}]"
    )


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_configuration({"env": {"MAX_ENI": "x", "NO_SUCH": "1"}, "resources": {"limits": {"gpu": "1"}}}, BASE)
    for path in ("$.env.MAX_ENI", "$.env.NO_SUCH", "$.resources.limits.gpu"):
        assert path in caught.value.message


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read_configuration({"env": {"WARM_IP_TARGET": ""}}, BASE).env == {"WARM_IP_TARGET": ""}


def test_values_go_where_they_belong() -> None:
    values = {
        "env": {"AWS_VPC_K8S_CNI_EXTERNALSNAT": "true"},
        "init": {"env": {"DISABLE_TCP_EARLY_DEMUX": "true"}},
        "enableNetworkPolicy": "true",
        "branchENICooldown": 30,
        "nodeAgent": {"metricsBindAddr": "9000", "conntrackCacheCleanupPeriod": 60},
        "eniConfig": {"create": True, "region": "r", "subnets": {"b": {"id": "s2"}, "a": {"id": "s1"}}},
        "tolerations": [],
        "livenessProbeTimeoutSeconds": 20,
        "resources": {"requests": {"cpu": "50m"}},
    }
    assert read_configuration(values, BASE) == Configuration(
        env={"AWS_VPC_K8S_CNI_EXTERNALSNAT": "true"},
        init_env={"DISABLE_TCP_EARLY_DEMUX": "true"},
        config_map={"enable-network-policy-controller": "true", "branch-eni-cooldown": "30"},
        node_agent_args={
            "metrics-bind-addr": ":9000",
            "conntrack-cache-cleanup-period": "60",
            "enable-network-policy": "true",
        },
        eni_configs=(EniConfig("a", "s1"), EniConfig("b", "s2")),
        tolerations=(),
        liveness_timeout_seconds=20,
        resources={"requests": {"cpu": "50m"}},
    )


def test_eni_configs_are_made_only_when_asked_for() -> None:
    values = {"eniConfig": {"create": False, "region": "r", "subnets": {"a": {"id": "s1"}}}}
    assert read_configuration(values, BASE).eni_configs == ()


@pytest.mark.parametrize("text", ["", "{}", "# nothing\n", "---\n"])
def test_no_values_are_an_empty_object(text: str) -> None:
    assert parse_configuration_text(text) == {}


@pytest.mark.parametrize("text", ['{"env":{"MAX_ENI":"2"}}', "env:\n  MAX_ENI: '2'\n"])
def test_json_and_yaml_are_read(text: str) -> None:
    assert parse_configuration_text(text) == {"env": {"MAX_ENI": "2"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "found array"),
        ("a", "found string"),
        ("{}\n---\n{}", "found 2 documents"),
        ("{", "neither YAML nor JSON"),
        ("a: !!python/object:os.system {}", "neither YAML nor JSON"),
    ],
)
def test_other_texts_are_no_values(text: str, message: str) -> None:
    with pytest.raises(CallerError, match=message):
        parse_configuration_text(text)
