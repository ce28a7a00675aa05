"""What the objects of releases after v1.16.2 have that those of v1.16.2 have not, with both image sets."""

from typing import Any

import pytest

from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.manifests import (
    ImageSet,
    Manifest,
    RenderOptions,
    configuration_schema,
    find_changes,
    name_of,
    packaged_catalogue,
    parse_addon_version,
    parse_catalogue,
    parse_registry,
    plan_images,
    read_configuration,
    render,
)

CATALOGUE = packaged_catalogue()
LATER = [str(each.version) for each in CATALOGUE.profiles if each.version > parse_addon_version("v1.16.2")]
AGENT = '.spec.template.spec.containers[name="aws-node"]'
POLICY_AGENT = '.spec.template.spec.containers[name="aws-eks-nodeagent"]'


def objects(version: str, image_set: ImageSet, values: dict[str, Any] | None = None) -> tuple[Manifest, ...]:
    profile = CATALOGUE.find(parse_addon_version(version))
    images = plan_images(profile, image_set, parse_registry("mirror.example.com"))
    return render(profile, RenderOptions(images, read_configuration(values or {}, profile))).objects


def differences(before: str, after: str, image_set: ImageSet) -> set[str]:
    """Return the paths that differ, without labels and images, which always do."""
    pairs = zip(objects(before, image_set), objects(after, image_set), strict=True)
    found = {change.path for old, new in pairs for change in find_changes(old, new)}
    return {
        path for path in found if not path.endswith((".image", 'app.kubernetes.io/version"', 'VPC_CNI_VERSION"].value'))
    }


def variables(*names: str) -> set[str]:
    return {f'{AGENT}.env[name="{name}"]' for name in names}


@pytest.mark.parametrize(
    ("before", "after", "own", "more"),
    [
        ("v1.16.2", "v1.17.1", variables("NETWORK_POLICY_ENFORCING_MODE"), set()),
        ("v1.17.1", "v1.18.0", variables("ENABLE_SUBNET_DISCOVERY"), set()),
        (
            "v1.18.0",
            "v1.18.5",
            set(),
            {f"{POLICY_AGENT}.args", '.spec.template.spec.volumes[name="xtables-lock"].hostPath.type'},
        ),
        ("v1.18.5", "v1.18.6", set(), set()),
        (
            "v1.18.6",
            "v1.19.0",
            {
                ".spec.template.spec.affinity.nodeAffinity"
                ".requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms",
                ".spec.versions",
            },
            set(),
        ),
        ("v1.19.0", "v1.19.6", set(), {f"{POLICY_AGENT}.args"}),
        (
            "v1.19.6",
            "v1.20.0",
            variables("ENABLE_IMDS_ONLY_MODE", "ENABLE_MULTI_NIC"),
            {f"{POLICY_AGENT}.ports"},
        ),
        ("v1.20.0", "v1.20.5", set(), set()),
        ("v1.20.5", "v1.21.1", set(), {".rules", ".spec.versions"}),
        ("v1.21.1", "v1.21.2", variables("INCLUDE_COOLDOWN_IPS_IN_POOL_SIZE"), {f"{POLICY_AGENT}.args"}),
    ],
)
def test_what_each_release_changed(before: str, after: str, own: set[str], more: set[str]) -> None:
    assert differences(before, after, ImageSet.OWN) == own
    assert differences(before, after, ImageSet.AWS) == own | more


def test_flags_of_the_policy_agent_stand_as_in_the_reference() -> None:
    (daemon_set,) = [each for each in objects("v1.21.2", ImageSet.AWS) if each["kind"] == "DaemonSet"]
    policy_agent = daemon_set["spec"]["template"]["spec"]["containers"][1]
    assert policy_agent["args"] == [
        "--enable-ipv6=false",
        "--enable-network-policy=false",
        "--enable-cloudwatch-logs=false",
        "--enable-policy-event-logs=false",
        "--log-file=/var/log/aws-routed-eni/network-policy-agent.log",
        "--metrics-bind-addr=:8162",
        "--health-probe-bind-addr=:8163",
        "--conntrack-cache-cleanup-period=300",
        "--conntrack-cache-table-size=524288",
        "--log-level=debug",
    ]
    assert policy_agent["ports"] == [{"containerPort": 8162, "name": "agentmetrics"}]


def test_a_port_that_values_move_is_declared_where_it_is() -> None:
    moved = objects("v1.21.2", ImageSet.AWS, {"nodeAgent": {"metricsBindAddr": "9162", "logLevel": "error"}})
    (daemon_set,) = [each for each in moved if each["kind"] == "DaemonSet"]
    policy_agent = daemon_set["spec"]["template"]["spec"]["containers"][1]
    assert policy_agent["ports"][0]["containerPort"] == 9162
    assert policy_agent["args"][-1] == "--log-level=error"


def test_a_right_on_paths_names_no_resources() -> None:
    (role,) = [each for each in objects("v1.21.2", ImageSet.AWS) if each["kind"] == "ClusterRole"]
    assert role["rules"][-1] == {
        "nonResourceURLs": ["/apis/networking.k8s.aws", "/apis/networking.k8s.aws/*"],
        "verbs": ["get"],
    }


@pytest.mark.parametrize("version", LATER)
def test_our_agent_takes_the_defaults_of_every_version(version: str) -> None:
    assert {name_of(each).kind for each in objects(version, ImageSet.OWN)} >= {"DaemonSet", "ConfigMap"}


@pytest.mark.parametrize(
    ("version", "name", "value"),
    [
        ("v1.17.1", "NETWORK_POLICY_ENFORCING_MODE", "strict"),
        ("v1.20.0", "ENABLE_MULTI_NIC", "true"),
        ("v1.20.0", "ENABLE_IMDS_ONLY_MODE", "true"),
        ("v1.21.2", "INCLUDE_COOLDOWN_IPS_IN_POOL_SIZE", "true"),
        ("v1.21.2", "ENABLE_POD_ENI", "true"),
    ],
)
def test_what_later_versions_can_and_this_one_cannot_is_refused_by_name(version: str, name: str, value: str) -> None:
    values = {"env": {name: value}}
    with pytest.raises(ConfigurationError, match=f'{name}="{value}".*not built yet'):
        objects(version, ImageSet.OWN, values)
    objects(version, ImageSet.AWS, values)


def test_values_of_a_choice_are_checked_in_the_words_of_eks() -> None:
    profile = CATALOGUE.find(parse_addon_version("v1.18.5"))
    with pytest.raises(
        ConfigurationError, match=r"MODE: does not have a value in the enumeration \[standard, strict\]"
    ):
        read_configuration({"env": {"NETWORK_POLICY_ENFORCING_MODE": "none"}}, profile)


def test_the_part_of_the_schema_of_v1_18_5_that_is_published() -> None:
    """Source: aws/amazon-vpc-cni-k8s#3059."""
    env = configuration_schema(CATALOGUE.find(parse_addon_version("v1.18.5-eksbuild.1")))["definitions"]["Env"]
    names = [name for name in env["properties"] if "ENI_CONFIG_ANNOTATION_DEF" <= name <= "WARM_ENI_TARGET"]
    assert names == [
        "ENI_CONFIG_ANNOTATION_DEF",
        "ENI_CONFIG_LABEL_DEF",
        "INTROSPECTION_BIND_ADDRESS",
        "IP_COOLDOWN_PERIOD",
        "MAX_ENI",
        "MINIMUM_IP_TARGET",
        "NETWORK_POLICY_ENFORCING_MODE",
        "POD_MTU",
        "POD_SECURITY_GROUP_ENFORCING_MODE",
        "WARM_ENI_TARGET",
    ]
    assert env["properties"]["NETWORK_POLICY_ENFORCING_MODE"] == {"enum": ["standard", "strict"], "type": "string"}
    assert env["properties"]["POD_MTU"] == {"format": "integer", "type": "string"}


@pytest.mark.parametrize(
    ("version", "basis", "known"),
    [
        ("v1.20.4-eksbuild.1", None, ""),
        ("v1.20.1-eksbuild.3", "v1.20.0", ""),
        ("v1.20.4-eksbuild.9", "v1.20.4", ""),
        ("v1.23.1-eksbuild.1", "v1.21.2", "v1.23.0: the probes ask unix:///var/run/aws-node/ipamd.sock"),
        ("v2.0.0", "v1.21.2", "v1.22.4: network policy agent v1.4.0"),
    ],
)
def test_a_version_without_a_profile_looks_like_the_nearest_older_one(
    version: str, basis: str | None, known: str
) -> None:
    found = CATALOGUE.approximate(parse_addon_version(version))
    assert str(found.profile.version) == version
    assert (None if found.basis is None else str(found.basis)) == basis
    assert any(line.startswith(known) for line in found.known_changes) or not known
    assert not (basis is None and found.known_changes)


def test_nothing_is_known_of_versions_before_all_others() -> None:
    with pytest.raises(CallerError, match=r"v1\.11\.4 is not in the catalogue"):
        CATALOGUE.approximate(parse_addon_version("v1.11.4"))


def test_a_catalogue_of_ones_own_brings_the_profile_that_was_missing() -> None:
    text = """
    format = 1
    valid_at = 2027-01-01
    [sources]
    page = "a page"
    [[profile]]
    release = "v1.23.1"
    newest_kubernetes = "1.36"
    cni_version = "1.0.0"
    """
    catalogue = parse_catalogue(text, "mine.toml")
    assert catalogue.approximate(parse_addon_version("v1.23.1")).basis is None
