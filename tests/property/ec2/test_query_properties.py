"""Whatever goes in or comes back: bodies hold exactly what was given, and answers are read or refused by name."""

from urllib.parse import parse_qsl
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from vpc_cni.ec2 import _decode
from vpc_cni.ec2._query import encode_query
from vpc_cni.ec2._xml import parse_answer, parse_error
from vpc_cni.ec2.failures import MALFORMED
from vpc_cni.errors import CloudError

READERS = [
    _decode.created_interface,
    _decode.attachment_id,
    _decode.assigned_addresses,
    _decode.network_interfaces,
    _decode.instances,
    _decode.instance_types,
    _decode.subnets,
]
NAMES = [
    "networkInterface",
    "networkInterfaceSet",
    "networkInterfaceId",
    "privateIpAddress",
    "privateIpAddressesSet",
    "primary",
    "item",
    "ipv4PrefixSet",
    "ipv4Prefix",
    "groupSet",
    "groupId",
    "tagSet",
    "key",
    "value",
    "attachment",
    "attachmentId",
    "deviceIndex",
    "networkCardIndex",
    "assignedPrivateIpAddressesSet",
    "reservationSet",
    "instancesSet",
    "instanceId",
    "instanceState",
    "name",
    "instanceTypeSet",
    "networkInfo",
    "networkCards",
    "maximumNetworkInterfaces",
    "subnetSet",
    "cidrBlock",
    "availableIpAddressCount",
    "nextToken",
]
TEXTS = st.sampled_from(["", " ", "true", "0", "-1", "x", "10.0.0.1", "10.0.0.0/24", "10.0.0.1/24", "9" * 40, "é"])

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10)


def _element(name: str, text: str, members: list[ElementTree.Element]) -> ElementTree.Element:
    element = ElementTree.Element(name)
    element.text = text
    element.extend(members)
    return element


elements = st.recursive(
    st.builds(_element, st.sampled_from(NAMES), TEXTS, st.just([])),
    lambda inner: st.builds(_element, st.sampled_from(NAMES), TEXTS, st.lists(inner, max_size=4)),
    max_leaves=25,
)


@given(st.dictionaries(words, words, max_size=8))
def test_flat_parameters_come_back_from_the_body(parameters):
    body = encode_query("Do", "1", parameters).decode("ascii")
    assert parse_qsl(body, keep_blank_values=True) == [("Action", "Do"), ("Version", "1"), *parameters.items()]


@given(st.lists(words, max_size=8))
def test_lists_are_numbered_without_gaps(values):
    pairs = parse_qsl(encode_query("Do", "1", {"Id": values}).decode(), keep_blank_values=True)
    assert pairs[2:] == [(f"Id.{number}", value) for number, value in enumerate(values, start=1)]


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_malformed_one(body):
    try:
        parse_answer("Do", body)
    except CloudError as err:
        refused = err
    else:
        return
    assert refused.code == MALFORMED


@given(st.binary(max_size=200), st.integers(300, 599))
def test_any_bytes_make_an_error(body, status):
    assert parse_error("Do", "ec2", status, body).operation == "Do"


@given(st.sampled_from(READERS), elements)
def test_any_tree_is_read_or_refused(reader, element):
    root = _element("Response", "", [element])
    try:
        reader(root)
    except ValueError:
        return
