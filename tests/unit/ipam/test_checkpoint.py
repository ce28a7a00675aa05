"""The reference's ``ipam.json``, byte for byte out but for its last newline, tolerantly in."""

import hashlib
import json
from ipaddress import IPv4Address

import pytest

from vpc_cni.errors import HostError
from vpc_cni.ipam import decode_checkpoint, encode_checkpoint
from vpc_cni.ipam.checkpoint import CheckpointEntry, digest
from vpc_cni.model import Allocation, PodIdentity, SandboxKey

KEY = SandboxKey("aws-cni", "c0ffee", "eth0")
POD = PodIdentity("default", "web-0", "uid-is-not-in-the-file")
ALLOCATION = Allocation(KEY, IPv4Address("10.0.0.5"), "eni-1", 2, POD, 1_700_000_000_123_456_789)

FILE = (
    b'{"version":"vpc-cni-ipam/1","allocations":[{"networkName":"aws-cni","containerID":"c0ffee","ifName":"eth0",'
    b'"ipv4":"10.0.0.5","allocationTimestamp":1700000000123456789,'
    b'"metadata":{"k8sPodNamespace":"default","k8sPodName":"web-0"}}]}'
)


def file_with(*entries: object, version: str = "vpc-cni-ipam/1") -> bytes:
    return json.dumps({"version": version, "allocations": entries}).encode()


def entry(**changes: object) -> dict[str, object]:
    return {"networkName": "aws-cni", "containerID": "c0ffee", "ifName": "eth0", "ipv4": "10.0.0.5", **changes}


def test_content_is_that_of_the_reference() -> None:
    assert encode_checkpoint([ALLOCATION]) == FILE


def test_no_pods_is_an_empty_list() -> None:
    assert encode_checkpoint([]) == b'{"version":"vpc-cni-ipam/1","allocations":[]}'


def test_empty_metadata_is_left_out_field_by_field() -> None:
    nameless = Allocation(KEY, IPv4Address("10.0.0.5"), "eni-1", 2, PodIdentity(), 0)
    (written,) = json.loads(encode_checkpoint([nameless]))["allocations"]
    assert written == entry(allocationTimestamp=0, metadata={})


def test_reads_what_it_writes() -> None:
    expected = CheckpointEntry(KEY, ALLOCATION.address, PodIdentity("default", "web-0"), ALLOCATION.allocated_at_ns)
    assert decode_checkpoint(FILE).entries == (expected,)


def test_fields_of_later_versions_are_ignored() -> None:
    later = entry(metadata={"k8sPodName": "web-0", "interfacesCount": 1, "new": [1]}, another="field")
    (read,) = decode_checkpoint(file_with(later)).entries
    assert read.pod == PodIdentity("", "web-0")


@pytest.mark.parametrize(
    "content", [b'{"version":"vpc-cni-ipam/1"}', b'{"version":"vpc-cni-ipam/1","allocations":null}']
)
def test_missing_or_null_list_is_empty(content: bytes) -> None:
    assert decode_checkpoint(content).entries == ()


@pytest.mark.parametrize(
    "bad",
    [
        {"networkName": "aws-cni"},
        entry(ipv4="10.0.0.300"),
        entry(ipv4="", ipv6="2600::1"),
        entry(ipv4=5),
        entry(allocationTimestamp="now"),
        entry(metadata=[]),
        "text",
        None,
    ],
    ids=str,
)
def test_one_bad_entry_does_not_lose_the_others(bad: object) -> None:
    checkpoint = decode_checkpoint(file_with(bad, entry(containerID="good")))
    assert [each.key.container_id for each in checkpoint.entries] == ["good"]
    assert len(checkpoint.problems) == 1
    assert checkpoint.problems[0].startswith("allocation 0 is left out: ")


def test_an_entry_that_is_not_utf8_does_not_lose_the_others() -> None:
    content = file_with(entry(), entry(ifName="broken")).replace(b"broken", b"bro\xffen")
    checkpoint = decode_checkpoint(content)
    assert [each.key for each in checkpoint.entries] == [KEY]
    assert len(checkpoint.problems) == 1


@pytest.mark.parametrize("version", ["vpc-cni-ipam/2", "", "1"])
def test_other_version_is_refused_by_name(version: str) -> None:
    with pytest.raises(HostError, match="roll back to the program that wrote it"):
        decode_checkpoint(file_with(version=version))


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"version":1}', b'{"version":"\xff"}'], ids=repr
)
def test_other_content_is_refused(content: bytes) -> None:
    with pytest.raises(HostError, match="checkpoint"):
        decode_checkpoint(content)


def test_digest_is_a_hex_sha256() -> None:
    assert digest(FILE) == hashlib.sha256(FILE).hexdigest()
