"""The kinds of values that settings have. Pure: text in, value or :class:`Unacceptable` out.

The texts are those that the reference accepts; where it would fall back to a default, these refuse.
"""

import json
import os
import re
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from vpc_cni.settings._setting import Kind, Unacceptable

# strconv.ParseBool of the Go standard library.
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
# strconv.Atoi: a sign and ASCII digits; Python's int() would also take spaces, underscores and other scripts.
_DECIMAL = re.compile(r"[+-]?[0-9]+", re.ASCII)
# strconv.ParseInt with base 0: 0x, 0o, 0b, or a leading 0 for octal.
_ANY_BASE = re.compile(r"\+?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|[1-9][0-9]*)", re.ASCII)
_CIDR = re.compile(r"[0-9.]+/[0-9]{1,2}", re.ASCII)
_LINK_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,4}", re.ASCII)

_INT32_MAX = 2**31 - 1
_UINT32_MAX = 2**32 - 1
_PORT_MAX = 65535
# sun_path of struct sockaddr_un holds 108 bytes with the closing zero. Source: linux/un.h.
SOCKET_PATH_MAX_BYTES = 107

# Limits of EC2 tags. Source: EC2 user guide, "Tag restrictions".
_TAG_KEY_MAX, _TAG_VALUE_MAX, _TAGS_MAX = 128, 256, 40


def _parse_boolean(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise Unacceptable


BOOLEAN = Kind("boolean", "true or false (also 1 t T TRUE True, 0 f F FALSE False)", _parse_boolean)


def integer(minimum: int, maximum: int = _INT32_MAX, *, unit: str = "") -> Kind[int]:
    """Return the kind of decimal whole numbers from ``minimum`` to ``maximum``, both included."""

    def parse(text: str) -> int:
        if not _DECIMAL.fullmatch(text) or not minimum <= int(text) <= maximum:
            raise Unacceptable
        return int(text)

    bounds = f"of {minimum} or more" if maximum == _INT32_MAX else f"from {minimum} to {maximum}"
    return Kind(f"integer, {unit}" if unit else "integer", f"a whole number {bounds}", parse)


def _parse_mark(text: str) -> int:
    if not _ANY_BASE.fullmatch(text):
        raise Unacceptable
    digits = text.lstrip("+")
    is_old_octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    value = int(digits, 8) if is_old_octal else int(digits, 0)
    if not 1 <= value <= _UINT32_MAX:
        raise Unacceptable
    return value


MARK = Kind("integer, any base", "a whole number from 1 to 0xffffffff, such as 0x80 or 128", _parse_mark)


def choice(*options: str) -> Kind[str]:
    """Return the kind of texts that are one of ``options``."""

    def parse(text: str) -> str:
        if text not in options:
            raise Unacceptable
        return text

    return Kind(" / ".join(options), f"one of {', '.join(options)}", parse)


_LEVELS = ("debug", "info", "warn", "error", "fatal")


def _parse_level(text: str) -> str:
    if text.lower() not in _LEVELS:
        raise Unacceptable
    return text.lower()


LEVEL = Kind("log level", "DEBUG, INFO, WARN, ERROR or FATAL, in any case", _parse_level)


def _parse_text(text: str) -> str:
    if any(character < " " for character in text) or not _is_unicode(text):
        raise Unacceptable
    return text


def _is_unicode(text: str) -> bool:
    # Bytes of the environment that are no UTF-8 arrive as lone surrogates, which no message to AWS can carry.
    return not any("\ud800" <= character <= "\udfff" for character in text)


TEXT = Kind("text", "text in UTF-8 without control characters", _parse_text)


def _parse_token(text: str) -> str:
    if text and not re.fullmatch(r"[!-~]{1,64}", text):
        raise Unacceptable(TOKEN.allowed)
    return text


TOKEN = Kind("text", "at most 64 letters, digits and signs of ASCII without blanks, such as v1.16.2", _parse_token)


def _parse_path(text: str) -> Path:
    if not text.startswith("/") or "\0" in text:
        raise Unacceptable
    return Path(text)


PATH = Kind("path", "an absolute path", _parse_path)


def _parse_log_target(text: str) -> str:
    if text in ("stdout", "stderr"):
        return text
    return str(_parse_path(text))


LOG_TARGET = Kind("path, stdout or stderr", "an absolute path, stdout or stderr", _parse_log_target)


def _parse_plugin_log_target(text: str) -> str:
    # The runtime reads the CNI result from the plugin's standard output: a log line there would corrupt it.
    if text in ("", "stderr"):
        return text
    if text == "stdout":
        raise Unacceptable("an absolute path or stderr; stdout carries the result that the runtime reads")
    return str(_parse_path(text))


PLUGIN_LOG_TARGET = Kind(
    "path or stderr", "an absolute path, stderr, or empty for none", _parse_plugin_log_target, keeps_empty=True
)


def _parse_cidrs(text: str) -> tuple[IPv4Network, ...]:
    found: dict[IPv4Network, None] = {}
    for item in (part.strip() for part in text.split(",")):
        if not item:
            continue
        try:
            if not _CIDR.fullmatch(item):
                raise Unacceptable(f"IPv4 CIDR blocks with commas between; {item!r} is none")
            # As net.ParseCIDR of Go: bits beyond the mask are allowed and dropped.
            found[IPv4Network(item, strict=False)] = None
        except (AddressValueError, NetmaskValueError):
            raise Unacceptable(f"IPv4 CIDR blocks with commas between; {item!r} is none") from None
    return tuple(found)


CIDRS = Kind("IPv4 CIDR list", "IPv4 CIDR blocks with commas between, such as 10.0.0.0/8,172.16.0.0/12", _parse_cidrs)


def _parse_tags(text: str) -> tuple[tuple[str, str], ...]:
    try:
        tags = json.loads(text)
    except ValueError:
        raise Unacceptable from None
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise Unacceptable
    for key, value in tags.items():
        _check_tag(key, value)
    if len(tags) > _TAGS_MAX:
        raise Unacceptable(f"at most {_TAGS_MAX} tags: EC2 allows 50 for each ENI and some are the agent's own")
    return tuple(sorted(tags.items()))


def _check_tag(key: str, value: str) -> None:
    if not 1 <= len(key) <= _TAG_KEY_MAX or len(value) > _TAG_VALUE_MAX:
        raise Unacceptable(
            f"tags with keys of 1 to {_TAG_KEY_MAX} and values of up to {_TAG_VALUE_MAX} characters; {key!r} has not"
        )
    if not _is_unicode(key + value):
        raise Unacceptable("tags of Unicode characters")
    if "k8s.amazonaws.com" in key or key.lower().startswith("aws:"):
        raise Unacceptable(f"other keys: {key!r} is reserved (k8s.amazonaws.com in the key, or aws: before it)")


TAGS = Kind("JSON object", 'a JSON object whose values are texts, such as {"team":"network"}', _parse_tags)


def _parse_url(text: str) -> str:
    # A missing scheme means https, as for the AWS SDK that the reference uses.
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        _ = parts.port  # raises ValueError when it is no number
    except ValueError:
        raise Unacceptable from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise Unacceptable
    return text


URL = Kind("URL", "a URL such as https://host:port", _parse_url)


def _parse_bind_address(text: str) -> str:
    if text.startswith("unix:"):
        return f"unix:{_parse_socket_path(text.removeprefix('unix:'))}"
    _host, separator, port = text.rpartition(":")
    if not separator or not (port.isascii() and port.isdigit()) or int(port) > _PORT_MAX:
        raise Unacceptable
    return text


BIND_ADDRESS = Kind("address", "HOST:PORT, :PORT for all interfaces, or unix:/PATH", _parse_bind_address)


def _parse_socket_path(text: str) -> Path:
    if len(os.fsencode(text)) > SOCKET_PATH_MAX_BYTES:
        raise Unacceptable(f"an absolute path of at most {SOCKET_PATH_MAX_BYTES} bytes, the kernel's limit for sockets")
    return _parse_path(text)


SOCKET_PATH = Kind("path", f"an absolute path of at most {SOCKET_PATH_MAX_BYTES} bytes", _parse_socket_path)

# Longest name of a socket that the agent puts into its run directory, with the slash before it.
_LONGEST_SOCKET_NAME = "/introspect.sock"


def _parse_run_dir(text: str) -> Path:
    limit = SOCKET_PATH_MAX_BYTES - len(_LONGEST_SOCKET_NAME)
    if len(os.fsencode(text)) > limit:
        raise Unacceptable(f"an absolute path of at most {limit} bytes: sockets with longer paths cannot be bound")
    return _parse_path(text)


RUN_DIR = Kind("path", "an absolute path", _parse_run_dir)


def _parse_veth_prefix(text: str) -> str:
    if not _LINK_PREFIX.fullmatch(text) or text in ("eth", "lo", "vlan"):
        raise Unacceptable
    return text


VETH_PREFIX = Kind(
    "at most 4 characters", "1 to 4 letters, digits or _ . - and none of eth, lo, vlan", _parse_veth_prefix
)
