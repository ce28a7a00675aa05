"""A strict reader of answers: JSON against the shapes of botocore's service model.

botocore's own parser forgives: it skips unknown members and passes strings where numbers belong. This one does not.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import botocore.session

MODEL = botocore.session.get_session().get_service_model("eks")
# What any operation may answer, though the model does not list it there.
COMMON_ERRORS = {
    "AccessDeniedException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "RequestEntityTooLargeException",
    "UnrecognizedClientException",
}
# What the real service answers, though its model does not list it there.
UNLISTED_ERRORS = {
    ("CreateFargateProfile", "ResourceNotFoundException"),
    ("CreateFargateProfile", "ResourceInUseException"),
}
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float),
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
}


def find_faults(shape: Any, value: object, path: str = "$") -> Iterator[str]:
    """Yield how a value differs from a shape. Null stands for a member that is absent."""
    if value is None:
        return
    kind = shape.type_name
    if not isinstance(value, _TYPES[kind]) or (kind != "boolean" and isinstance(value, bool)):
        yield f"{path}: {value!r} is no {kind}"
        return
    yield from _structure_faults(shape, value, path) if isinstance(value, dict) and kind == "structure" else ()
    if isinstance(value, dict) and kind == "map":
        for key, item in value.items():
            yield from find_faults(shape.key, key, f"{path}.{key}")
            yield from find_faults(shape.value, item, f"{path}.{key}")
    if isinstance(value, list):
        for number, item in enumerate(value):
            if item is None:
                yield f"{path}[{number}]: null in a list"
            yield from find_faults(shape.member, item, f"{path}[{number}]")
    yield from _text_faults(shape, value, path) if isinstance(value, str) else ()


def _structure_faults(shape: Any, value: dict[str, object], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"{path}.{name}: required"
    for name, item in value.items():
        if name not in shape.members:
            yield f"{path}.{name}: unknown"
        else:
            yield from find_faults(shape.members[name], item, f"{path}.{name}")


def _text_faults(shape: Any, value: str, path: str) -> Iterator[str]:
    if shape.enum and value not in shape.enum:
        yield f"{path}: {value!r} is none of {shape.enum}"
    bounds = shape.metadata
    if not bounds.get("min", 0) <= len(value) <= bounds.get("max", len(value)):
        yield f"{path}: {value!r} has the wrong length"
    if "pattern" in bounds and not re.match(bounds["pattern"], value):
        yield f"{path}: {value!r} is against {bounds['pattern']}"


def check_answer(operation: str, status: int, headers: Any, body: bytes) -> None:
    """Fail unless this is an answer, or an exception, of the operation as the model has it."""
    model = MODEL.operation_model(operation)
    names = {name.lower(): value for name, value in headers.items()}
    assert names["content-type"] == "application/json"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", names["x-amzn-requestid"])
    document = json.loads(body)
    if status == 200:
        assert "x-amzn-errortype" not in names
        assert list(find_faults(model.output_shape, document)) == []
        return
    code = names["x-amzn-errortype"]
    listed = {each.name: each for each in model.error_shapes}
    assert code in listed or code in COMMON_ERRORS or (operation, code) in UNLISTED_ERRORS, code
    shape = MODEL.shape_for_error_code(code)
    if shape is None:
        assert set(document) == {"message"}
        return
    assert status == shape.metadata["error"]["httpStatusCode"]
    # All modelled members are there, those that are not used as null.
    assert set(document) == set(shape.members)
    assert list(find_faults(shape, document)) == []
