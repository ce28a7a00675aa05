"""Configuration values as a request brings them: read, checked against a version, and tried on the renderer. Pure.

Whatever stands in the way is one exception, with the words of the EKS API. What the schema leaves free (affinity,
tolerations) is bounded here, since it becomes part of Kubernetes objects as it is.
"""

import math
from collections.abc import Mapping
from typing import Any

from vpc_cni.addons import errors
from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.manifests import (
    Configuration,
    Images,
    IpFamily,
    Profile,
    RenderOptions,
    parse_configuration_text,
    read_configuration,
    render,
)

TEXT_MAX = 64 * 1024
_NODES_MAX = 10_000
_DEPTH_MAX = 40
_PREFIX = "ConfigurationValue provided in request is not supported: "


def check_values(text: str, profile: Profile, images: Images, family: str) -> Configuration:
    """Return what a text of configuration values says, once a version can be rendered with it.

    Raises:
        ApiError: it is too long, neither JSON nor YAML, against the schema, or asks for what is not built.
    """
    values = _parse(text)
    try:
        configuration = read_configuration(values, profile)
    except ConfigurationError as err:
        raise errors.values_not_supported(err.message.removeprefix(_PREFIX)) from err
    problems = _problems(profile, images, family, configuration)
    if problems:
        raise errors.values_not_supported(f"[{', '.join(problems)}]")
    return configuration


def check_version_runs(profile: Profile, images: Images, family: str) -> None:
    """Refuse a version that cannot be deployed to a cluster of this family, whatever the values.

    Raises:
        ApiError: with all that stands in the way.
    """
    problems = _problems(profile, images, family, Configuration())
    if problems:
        raise errors.InvalidRequestError(f"Addon version {profile.version} cannot run here: {'; '.join(problems)}")


def _parse(text: str) -> Mapping[str, Any]:
    if len(text) > TEXT_MAX:
        raise errors.values_not_supported(f"it has more than {TEXT_MAX} characters")
    try:
        values = parse_configuration_text(text, "it")
    except CallerError as err:
        raise errors.values_not_supported(" ".join(str(err).split())) from err
    _check_plain(values)
    return values


def _check_plain(values: object) -> None:
    """Refuse what is no JSON (dates and sets of YAML), and what is too large when its aliases are written out."""
    left = [(values, 0)]
    for _ in range(_NODES_MAX):
        if not left:
            return
        value, depth = left.pop()
        if depth > _DEPTH_MAX:
            break
        left.extend((each, depth + 1) for each in _children(value))
    raise errors.values_not_supported(f"it has more than {_NODES_MAX} values, or goes deeper than {_DEPTH_MAX} levels")


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise errors.values_not_supported(f"key {key!r} is no text: quote it")
        return [*value.keys(), *value.values()]
    if isinstance(value, list):
        return value
    if isinstance(value, str) and not is_storable(value):
        raise errors.values_not_supported("a text holds characters that cannot be stored")
    if isinstance(value, float) and not math.isfinite(value):
        raise errors.values_not_supported(f"{value} is no number of JSON")
    if value is not None and not isinstance(value, str | bool | int | float):
        raise errors.values_not_supported(f"{value!r} is no value of JSON: quote it")
    return []


def is_storable(text: str) -> bool:
    """Tell whether a text is Unicode that databases take: no half of a surrogate pair, no NUL."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _problems(profile: Profile, images: Images, family: str, configuration: Configuration) -> list[str]:
    try:
        render(profile, RenderOptions(images, configuration, ip_family=IpFamily(family)))
    except ConfigurationError as err:
        return [line.strip() for line in err.message.splitlines()[1:]]
    return []
