"""What holds for every text, version, registry and configuration."""

from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vpc_cni.errors import VpcCniError
from vpc_cni.manifests import (
    AddonVersion,
    ImageReference,
    ImageSet,
    RenderOptions,
    canonical_quantity,
    encode_yaml,
    packaged_catalogue,
    parse_addon_version,
    parse_image_reference,
    parse_quantity,
    parse_registry,
    parse_yaml,
    plan_images,
    read_configuration,
    render,
)

# Rendering takes milliseconds, and more on a machine that does other things too: time is not what is tested.
CALM = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
PROFILES = st.sampled_from(packaged_catalogue().profiles)
_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
# Texts that readers of YAML disagree about.
_TRICKY = st.sampled_from(
    ["1e3", "0x80", "yes", "No", "~", "null", "1_000", "12:30", "2024-01-01", "", "-", "&a", "=", "<<"]
)
NUMBERS = st.integers(0, 999)


@CALM
@given(st.builds(AddonVersion, NUMBERS, NUMBERS, NUMBERS, NUMBERS))
def test_a_version_reads_back(version: AddonVersion) -> None:
    assert parse_addon_version(str(version)) == version


@CALM
@given(
    st.recursive(
        st.one_of(_TEXT, _TRICKY, st.integers(), st.booleans(), st.none()),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.one_of(_TEXT, _TRICKY), inner, max_size=4)
        ),
        max_leaves=15,
    )
)
def test_yaml_reads_back(value: Any) -> None:
    assert parse_yaml(encode_yaml([{"value": value}]), "it") == [{"value": value}]


_PART = st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,4})?", fullmatch=True)
_REGISTRIES = st.builds(
    lambda host, port: f"{host}.example.com" + (f":{port}" if port else ""),
    st.from_regex(r"[a-z]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True),
    st.one_of(st.none(), st.integers(1, 65535)),
)
_REFERENCES = st.builds(
    ImageReference,
    _REGISTRIES,
    st.lists(_PART, min_size=1, max_size=3).map("/".join),
    st.one_of(st.just(""), st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)),
    st.one_of(st.just(""), st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)),
)


@CALM
@given(_REFERENCES)
def test_an_image_reads_back(reference: ImageReference) -> None:
    assert parse_image_reference(str(reference)) == reference


@CALM
@given(st.text(max_size=40))
def test_any_text_is_an_image_a_registry_or_an_error_of_ours(text: str) -> None:
    for parse in (parse_image_reference, parse_registry):
        try:
            parsed = parse(text)
        except VpcCniError:
            continue
        assert str(parsed) == text.rstrip("/")


@CALM
@given(PROFILES, st.sampled_from(ImageSet), _REGISTRIES)
def test_every_image_of_an_installation_comes_from_its_registry(profile: Any, image_set: ImageSet, host: str) -> None:
    images = plan_images(profile, image_set, parse_registry(f"{host}/team"))
    pod = next(
        each["spec"]["template"]["spec"]
        for each in render(profile, RenderOptions(images)).objects
        if each["kind"] == "DaemonSet"
    )
    named = [parse_image_reference(each["image"]) for each in pod["initContainers"] + pod["containers"]]
    assert named == list(images.all)
    assert {each.registry for each in named} == {host}


_JSON = st.recursive(
    st.one_of(_TEXT, st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXT, inner, max_size=3)),
    max_leaves=6,
)
_VALUES = st.dictionaries(
    st.sampled_from(
        ["env", "init", "resources", "tolerations", "affinity", "eniConfig", "nodeAgent", "branchENICooldown"]
    ),
    st.one_of(_JSON, st.dictionaries(st.sampled_from(["WARM_IP_TARGET", "ENABLE_POD_ENI", "env", "create"]), _JSON)),
)


@CALM
@given(PROFILES, st.sampled_from(ImageSet), _VALUES)
@example(packaged_catalogue().newest_profile(), ImageSet.OWN, {"env": {"WARM_IP_TARGET": "5"}})
def test_any_values_are_rendered_or_refused_with_an_error_of_ours(
    profile: Any, image_set: ImageSet, values: dict[str, Any]
) -> None:
    images = plan_images(profile, image_set, parse_registry("r.example.com"))
    try:
        rendered = render(profile, RenderOptions(images, read_configuration(values, profile)))
    except VpcCniError:
        return
    assert parse_yaml(encode_yaml(rendered.objects), "it") == list(rendered.objects)


@CALM
@given(st.from_regex(r"[0-9]{1,6}(\.[0-9]{1,4})?(m|k|M|Ki|Mi|Gi|e[0-9])?", fullmatch=True))
def test_the_canonical_amount_is_the_same_amount(text: str) -> None:
    canonical = canonical_quantity(text)
    assert canonical_quantity(canonical) == canonical
    if "/" not in canonical:
        assert parse_quantity(canonical) == parse_quantity(text)
