"""What holds for the schema of every version: it is one of draft-06, and takes the values that it describes."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vpc_cni.manifests import Profile, configuration_schema, packaged_catalogue
from vpc_cni.manifests._schema_check import find_problems

CALM = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
PROFILES = packaged_catalogue().profiles
BY_VERSION = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: str(profile.version))
TYPES = {"array", "boolean", "integer", "null", "number", "object", "string"}
# Keywords of draft-06 that the schemas use, and what their values are; those that hold schemas are walked through.
KEYWORDS: dict[str, type | tuple[type, ...]] = {
    "$ref": str,
    "$schema": str,
    "additionalProperties": (bool, dict),
    "definitions": dict,
    "description": str,
    "enum": list,
    "format": str,
    "items": dict,
    "minProperties": int,
    "properties": dict,
    "required": list,
    "title": str,
    "type": (str, list),
}


def parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a schema and all schemas in it."""
    yield schema
    held = [*schema.get("definitions", {}).values(), *schema.get("properties", {}).values()]
    held += [each for name in ("items", "additionalProperties") if isinstance(each := schema.get(name), dict)]
    for each in held:
        yield from parts(each)


def values(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that a schema describes."""
    if "$ref" in schema:
        return values(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
    if kind == "object":
        named = {name: values(each, definitions) for name, each in schema.get("properties", {}).items()}
        needed = {name: named.pop(name) for name in schema.get("required", ())}
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            return st.dictionaries(st.text(max_size=4), values(more, definitions), min_size=1, max_size=2)
        return st.fixed_dictionaries(needed, optional=named)
    if kind == "array":
        return st.lists(values(schema["items"], definitions), max_size=2)
    texts = {"boolean": st.sampled_from(["true", "f", ""]), "integer": st.integers().map(str)}
    plain = {"boolean": st.booleans(), "integer": st.integers(), "string": st.text(max_size=5)}
    return texts[schema["format"]] if "format" in schema else plain[kind]


@BY_VERSION
def test_a_schema_is_one_of_draft_06(profile: Profile) -> None:
    schema = configuration_schema(profile)
    assert schema["$schema"] == "http://json-schema.org/draft-06/schema#"
    for part in parts(schema):
        assert set(part) <= set(KEYWORDS), part
        assert all(isinstance(value, KEYWORDS[name]) for name, value in part.items()), part
        assert set([part["type"]] if isinstance(part.get("type"), str) else part.get("type", ())) <= TYPES
        # The draft wants names and choices without repetition, and at least one choice.
        assert len(set(part.get("required", ()))) == len(part.get("required", ()))
        assert part.get("enum") is None or 0 < len(part["enum"]) == len(set(part["enum"]))
        assert set(part.get("required", ())) <= set(part.get("properties", ()))
        if "$ref" in part:
            assert part["$ref"].removeprefix("#/definitions/") in schema["definitions"]


@BY_VERSION
def test_every_definition_is_used(profile: Profile) -> None:
    schema = configuration_schema(profile)
    named = {part["$ref"].rpartition("/")[2] for part in parts(schema) if "$ref" in part}
    assert named == set(schema["definitions"])


@BY_VERSION
@CALM
@given(data=st.data())
def test_values_that_a_schema_describes_fit_and_others_do_not(profile: Profile, data: st.DataObject) -> None:
    schema = configuration_schema(profile)
    found = data.draw(values(schema, schema["definitions"]))
    assert find_problems(schema, found) == []
    assert find_problems(schema, {**found, "noSuchOption": True}) != []
    name = data.draw(st.sampled_from(sorted(schema["definitions"]["VpcCni"]["properties"])))
    # No option is a number with a fraction.
    assert find_problems(schema, {**found, name: 0.5}) != []


def test_a_later_version_takes_what_an_earlier_one_took() -> None:
    def names(profile: Profile) -> set[tuple[str, str]]:
        definitions = configuration_schema(profile)["definitions"]
        return {(name, option) for name in definitions for option in definitions[name].get("properties", {})}

    for before, after in itertools.pairwise(PROFILES):
        assert names(before) <= names(after), after.version
