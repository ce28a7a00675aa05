"""Numbers that stand in more than one place: code, C source and documentation."""

import re
from pathlib import Path

import pytest

from vpc_cni.errors import CniCode
from vpc_cni.rpc import spool
from vpc_cni.rpc.cni import SUPPORTED_VERSIONS
from vpc_cni.rpc.frames import HEADER_BYTES, MAX_CONFIG_BYTES, MAX_PAYLOAD_BYTES
from vpc_cni.rpc.marker import MAX_WAIT_SECONDS
from vpc_cni.rpc.transport import SOCKET_PATH_MAX_BYTES

ROOT = Path(__file__).parents[3]
SHIM = (ROOT / "src/vpc_cni/plugin/shim.h").read_text()
MAIN = (ROOT / "src/vpc_cni/plugin/aws_cni.c").read_text()
ERRORS = (ROOT / "docs/errors.md").read_text()


def defined(name: str) -> int:
    """Evaluate a ``#define`` of the plugin's header: numbers, shifts and sums of other names."""
    match = re.search(rf"#define {name} (.+?)(?: /\*.*)?$", SHIM, re.MULTILINE)
    assert match is not None, name
    total = 0
    for term in match[1].strip("()").replace("(", "").split("+"):
        number = re.fullmatch(r"\s*(\d+)u?(?:\s*<<\s*(\d+))?\s*", term)
        total += int(number[1]) << int(number[2] or 0) if number else defined(term.strip())
    return total


@pytest.mark.parametrize("code", CniCode)
def test_every_code_is_documented(code):
    assert re.search(rf"^\| {code.value} \| `{code.name}` \| .{{20,}} \| .{{5,}} \|$", ERRORS, re.MULTILINE)


def test_no_other_code_is_documented():
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", ERRORS, re.MULTILINE)} == {code.value for code in CniCode}


def test_the_plugin_s_codes_are_ours():
    codes = {int(code) for code in re.findall(r"^ +CNI_\w+ = (\d+),", SHIM, re.MULTILINE)}
    assert codes
    assert codes <= {code.value for code in CniCode}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_CONFIG_BYTES", MAX_CONFIG_BYTES),
        ("MAX_PAYLOAD_BYTES", MAX_PAYLOAD_BYTES),
        ("FRAME_HEADER_BYTES", HEADER_BYTES),
        ("MAX_SOCKET_PATH_BYTES", SOCKET_PATH_MAX_BYTES),
        ("MAX_SPOOL_FILES", spool.MAX_FILES),
        ("MAX_SPOOL_FILE_BYTES", spool.MAX_FILE_BYTES),
        ("RESTART_MAX_MS", int(MAX_WAIT_SECONDS * 1000)),
    ],
)
def test_limits_agree(name, value):
    assert defined(name) == value


def test_versions_agree():
    match = re.search(r"VERSIONS\[\] = \{(.+?)\}", MAIN)
    assert match is not None
    assert tuple(re.findall(r'"([\d.]+)"', match[1])) == SUPPORTED_VERSIONS
    for version in SUPPORTED_VERSIONS:
        assert version in ERRORS
