"""Checks values against a schema of configuration values. Pure.

Not a general validator: it knows what those schemas use, and speaks as the EKS API does, so that a message here
finds the same answers in a search. Formats are checked too, which general validators and EKS leave out.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from vpc_cni.manifests.schema import Schema

_BOOLEANS = frozenset({"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"})
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}


def find_problems(schema: Schema, value: object) -> list[str]:
    """Return what is wrong with a value, one line each, in the order of the value; empty when all is well.

    Source of the lines' form: aws/amazon-vpc-cni-k8s#2173; lines about formats are ours.
    """
    return list(_problems(schema, schema.get("definitions", {}), value, "$"))


def _problems(schema: Schema, definitions: Mapping[str, Schema], value: object, path: str) -> Iterator[str]:
    if "$ref" in schema:
        yield from _problems(definitions[schema["$ref"].rpartition("/")[2]], definitions, value, path)
        return
    found, wanted = type_name(value), schema.get("type", [])
    allowed: list[str] = [wanted] if isinstance(wanted, str) else wanted
    if allowed and found not in allowed:
        yield f"{path}: {found} found, {wanted if isinstance(wanted, str) else _either(allowed)} expected"
    elif isinstance(value, dict):
        yield from _object_problems(schema, definitions, value, path)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _problems(schema.get("items", {}), definitions, item, f"{path}[{position}]")
    elif value not in schema.get("enum", (value,)):
        yield f"{path}: does not have a value in the enumeration {_either(schema['enum'])}"
    elif isinstance(value, str):
        yield from _format_problems(schema.get("format", ""), value, path)


def _either(names: list[str]) -> str:
    return f"[{', '.join(names)}]"


def _object_problems(
    schema: Schema, definitions: Mapping[str, Schema], value: Mapping[Any, object], path: str
) -> Iterator[str]:
    properties, additional = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name}: is missing but it is required"
    if len(value) < schema.get("minProperties", 0):
        yield f"{path}: should have a minimum of {schema['minProperties']} properties"
    for name, item in value.items():
        if name in properties:
            yield from _problems(properties[name], definitions, item, f"{path}.{name}")
        elif additional is False:
            yield f"{path}.{name}: is not defined in the schema and the schema does not allow additional properties"
        elif isinstance(additional, dict):
            yield from _problems(additional, definitions, item, f"{path}.{name}")


def _format_problems(wanted: str, text: str, path: str) -> Iterator[str]:
    # An empty variable counts as not set, in the reference too.
    if wanted == "boolean" and text and text not in _BOOLEANS:
        yield f"{path}: {json.dumps(text)} is no boolean, use true or false"
    if wanted == "integer" and text and not _INTEGER.fullmatch(text):
        yield f"{path}: {json.dumps(text)} is no whole number"


def type_name(value: object) -> str:
    """Return a value's type in the words of JSON schema."""
    return "null" if value is None else _TYPES.get(type(value), type(value).__name__)
