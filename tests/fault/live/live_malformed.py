"""Malformed requests, generated: for the agent's socket as bytes with descriptors, for the plugin as its surroundings.

Everything comes from the generator that is passed in, so a seed says it all.
"""

import json
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vpc_cni.rpc.frames import MAGIC, MAX_PAYLOAD_BYTES, VERSION, Frame, FrameType, encode_frame
from vpc_cni.rpc.messages import Request, Tag, request_fields

COMMANDS = ("ADD", "DEL", "CHECK", "STATUS", "GC")
# A network of its own: a damaged GC that is still a GC must release nothing of the real pods.
NETWORK = "malformed"
ODD_TEXTS = (b"", b"/", b"../..", b"a/b", b"\xff\xfe", b"\0", b"x" * 300, b"eth0 ", b" ", b"-", "ü".encode(), b"%s%n")
ODD_VALUES: Sequence[Any] = (None, 0, -1, 1e308, True, "", "x" * 5000, [], {}, [[]], {"a": {"b": []}}, "1.0", "\u0000")
ODD_DOCUMENTS = (
    b"",
    b"[]",
    b"null",
    b"{",
    b'{"a":1}{}',
    b"[" * 2000,
    b'{"cniVersion":1}',
    b"\xef\xbb\xbf{}",
    b"\xff\xff",
)


@dataclass(frozen=True)
class SocketCase:
    """Bytes for the socket, with descriptors by their positions in a list of the sender's."""

    data: bytes
    descriptors: tuple[int, ...]


@dataclass(frozen=True)
class PluginCase:
    """What the plugin finds when it starts."""

    stdin: bytes
    environment: dict[str, str]


def socket_case(rng: random.Random, config: dict[str, Any], kinds_of_descriptors: int) -> SocketCase:
    """Return one request that is wrong somewhere, or at least odd."""
    letters = rng.choice(("", "s", "n", "sn", "sn", "sn", "sn", "ns", "ss", "snz", "é"))
    build = rng.choice((_noise, _bare_header, _odd_fields, _damaged, _odd_request, _odd_request, _odd_request))
    data = build(rng, config, letters)
    if rng.random() < 0.1:
        data = data[: rng.randrange(len(data) + 1)]
    # With right letters the first two are what they should be, taken each for itself.
    count = len(letters) if rng.random() < 0.9 else rng.choice((0, 1, 3, 16))
    fitting = ["sn".find(letter) for letter in letters] if rng.random() < 0.7 else []
    positions = [rng.randrange(kinds_of_descriptors) for _ in range(count)]
    return SocketCase(data, tuple(max(fit, 0) for fit in fitting) if len(fitting) == count else tuple(positions))


def plugin_case(rng: random.Random, config: dict[str, Any], environment: dict[str, str]) -> PluginCase:
    """Return surroundings of the plugin that are wrong somewhere, or at least odd."""
    variables = dict(environment)
    for _ in range(rng.choice((0, 1, 1, 2))):
        name = rng.choice((*variables, "CNI_ARGS")) if variables else "CNI_ARGS"
        if rng.random() < 0.4:
            variables.pop(name, None)
        else:
            text = rng.choice(ODD_TEXTS).replace(b"\0", b"?")
            variables[name] = text.decode("utf-8", "surrogateescape")
    return PluginCase(_odd_stdin(rng, config), variables)


def _odd_stdin(rng: random.Random, config: dict[str, Any]) -> bytes:
    whole = json.dumps(_odd_config(rng, config)).encode()
    match rng.randrange(6):
        case 0:
            return rng.choice(ODD_DOCUMENTS)
        case 1:
            return whole[: rng.randrange(len(whole))]
        case 2:
            kept = len(json.dumps({"agentSocket": config["agentSocket"]}))
            return whole[:kept] + _flip(rng, whole[kept:])
        case 3:
            return whole + b" " * (1 << 20) if rng.random() < 0.1 else rng.randbytes(rng.randrange(200))
        case _:
            return whole


def _odd_config(rng: random.Random, config: dict[str, Any]) -> dict[str, Any]:
    odd = {"agentSocket": config["agentSocket"], **config, "name": NETWORK}
    known = [name for name in config if name != "agentSocket"]  # nobody is at another socket: that is another story
    for _ in range(rng.randrange(3)):
        name = rng.choice((*known, "name", "prevResult", "cni.dev/valid-attachments", "runtimeConfig"))
        if rng.random() < 0.3:
            odd.pop(name, None)
        else:
            odd[name] = rng.choice(ODD_VALUES)
    return odd


def _noise(rng: random.Random, _config: dict[str, Any], _letters: str) -> bytes:
    return rng.randbytes(rng.randint(1, 400))


def _bare_header(rng: random.Random, _config: dict[str, Any], _letters: str) -> bytes:
    """A header that promises anything, and a little payload; what it promises beyond never comes."""
    length = rng.choice((0, 1, 11, MAX_PAYLOAD_BYTES + 1, 1 << 31, 0xFFFFFFFF))
    magic = rng.choice((MAGIC, MAGIC, b"HTTP"))
    least = rng.choice((0, 1, VERSION + 1, 255))
    return struct.pack("!4sBBBBI", magic, rng.randrange(256), least, rng.randrange(256), rng.randrange(256), length) + (
        rng.randbytes(min(length, 11))
    )


def _odd_fields(rng: random.Random, config: dict[str, Any], letters: str) -> bytes:
    """A frame whose fields are missing, double, unknown, or not what they should be."""
    fields = list(request_fields(_request(rng, config, letters)))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(fields))
        match rng.randrange(4):
            case 0 if len(fields) > 1:
                del fields[at]
            case 1:
                fields.append(fields[at])
            case 2:
                fields[at] = (fields[at][0], rng.choice(ODD_TEXTS))
            case _:
                fields.append((rng.randrange(1 << 16), rng.randbytes(rng.randrange(20))))
    return encode_frame(Frame(rng.choice((1, 1, 1, 2, 3, 77)), tuple(fields)))


def _damaged(rng: random.Random, config: dict[str, Any], letters: str) -> bytes:
    return _flip(rng, encode_frame(Frame(FrameType.REQUEST, request_fields(_request(rng, config, letters)))))


def _odd_request(rng: random.Random, config: dict[str, Any], letters: str) -> bytes:
    """A well-formed frame that asks for something odd."""
    fields = [
        (tag, rng.choice(ODD_TEXTS)) if tag != Tag.CONFIG and rng.random() < 0.15 else (tag, data)
        for tag, data in request_fields(_request(rng, config, letters))
    ]
    return encode_frame(Frame(FrameType.REQUEST, tuple(fields)))


def _request(rng: random.Random, config: dict[str, Any], letters: str) -> Request:
    stdin = rng.choice(ODD_DOCUMENTS) if rng.random() < 0.2 else json.dumps(_odd_config(rng, config)).encode()
    return Request(
        rng.choice((*COMMANDS, "ADD", "CHECK", "VERSION", "add", "")),
        stdin,
        f"malformed{rng.randrange(50)}",
        "/proc/self/ns/net",
        rng.choice(("eth0", "eth0", "lo", "a" * 16, "e/0")),
        rng.choice(("IgnoreUnknown=1;K8S_POD_NAME=a;K8S_POD_NAMESPACE=b", ";;", "=", "K8S_POD_NAME", "")),
        deadline_ms=rng.choice((0, 1, 2000, 0xFFFFFFFF)),
        descriptors=letters,
    )


def _flip(rng: random.Random, data: bytes) -> bytes:
    """Damage some bytes, in place, more or fewer."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(3):
            case 0:
                out[at:at] = rng.randbytes(rng.randint(1, 4))
            case 1:
                del out[at : at + rng.randint(1, 4)]
            case _ if at < len(out):
                out[at] = rng.randrange(256)
    return bytes(out)
