"""Form encoding of parameters, and answers back into values."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from vpc_cni.ec2 import _decode
from vpc_cni.ec2._query import encode_query
from vpc_cni.ec2._xml import parse_answer, parse_error
from vpc_cni.ec2.failures import MALFORMED
from vpc_cni.errors import CloudError, InternalError, ThrottledError

ENI = b"""<?xml version="1.0"?><R xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><networkInterfaceSet><item>
<networkInterfaceId>eni-1</networkInterfaceId><macAddress>02:00:00:00:00:01</macAddress><status>in-use</status>
<subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId><availabilityZone>eu-west-1a</availabilityZone>
<description>d</description><interfaceType>trunk</interfaceType><privateIpAddress>10.0.0.4</privateIpAddress>
<privateIpAddressesSet><item><privateIpAddress>10.0.0.9</privateIpAddress><primary>false</primary></item>
<item><privateIpAddress>10.0.0.4</privateIpAddress><primary>true</primary></item>
<item><privateIpAddress>10.0.0.5</privateIpAddress></item></privateIpAddressesSet>
<ipv4PrefixSet><item><ipv4Prefix>10.0.0.16/28</ipv4Prefix></item></ipv4PrefixSet>
<groupSet><item><groupId>sg-2</groupId></item><item><groupId>sg-1</groupId></item></groupSet>
<tagSet><item><key>a</key><value/></item><item><key>b</key><value>c</value></item></tagSet>
<attachment><attachmentId>eni-attach-1</attachmentId><instanceId>i-1</instanceId><deviceIndex>3</deviceIndex>
<networkCardIndex>1</networkCardIndex><status>attached</status><deleteOnTermination>true</deleteOnTermination>
</attachment></item></networkInterfaceSet></R>"""


def test_structures_are_joined_with_dots_and_lists_are_numbered():
    body = encode_query(
        "Do", "1", {"Name": "a b", "Flag": False, "List": [1, 2], "Filter": [{"Name": "n", "Value": ["x", "y"]}]}
    )
    assert body == b"Action=Do&Version=1&Name=a+b&Flag=false&List.1=1&List.2=2&" + (
        b"Filter.1.Name=n&Filter.1.Value.1=x&Filter.1.Value.2=y"
    )


def test_empty_lists_are_not_sent():
    assert encode_query("Do", "1", {"List": []}) == b"Action=Do&Version=1"


def test_text_beyond_ascii_is_sent_as_utf8():
    assert encode_query("Do", "1", {"Name": "ü&="}).endswith(b"Name=%C3%BC%26%3D")


def test_an_interface_is_read_whole():
    (found,) = _decode.network_interfaces(parse_answer("Describe", ENI))
    assert found.primary_address == IPv4Address("10.0.0.4")
    assert found.addresses == (IPv4Address("10.0.0.9"), IPv4Address("10.0.0.5"))
    assert found.prefixes == (IPv4Network("10.0.0.16/28"),)
    assert found.security_groups == ("sg-2", "sg-1")
    assert found.tags == {"a": "", "b": "c"}
    assert found.attachment is not None
    assert (found.attachment.device_number, found.attachment.network_card) == (3, 1)
    assert found.attachment.delete_on_termination


def test_an_attached_interface_is_a_node_eni():
    (found,) = _decode.network_interfaces(parse_answer("Describe", ENI))
    eni = found.as_eni(IPv4Network("10.0.0.0/24"))
    assert (eni.eni_id, eni.device_number, eni.network_card, eni.is_trunk) == ("eni-1", 3, 1, True)
    assert eni.gateway == IPv4Address("10.0.0.1")


def test_a_free_interface_is_no_node_eni():
    root = parse_answer("Describe", ENI)
    item = root.find(".//item")
    item.remove(item.find("attachment"))
    (found,) = _decode.network_interfaces(root)
    with pytest.raises(InternalError, match="eni-1"):
        found.as_eni(IPv4Network("10.0.0.0/24"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>504",
        b"\x00\xff",
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'.encode("utf-16"),
    ],
    ids=["empty", "cut", "binary", "entities", "entities in another encoding"],
)
def test_what_is_not_an_answer_is_refused_by_name(body):
    with pytest.raises(CloudError) as caught:
        parse_answer("DescribeSubnets", body)
    assert (caught.value.code, caught.value.operation) == (MALFORMED, "DescribeSubnets")


@pytest.mark.parametrize("encoding", ["utf-8", "foo", "utf-32", "euc-jp"])
def test_the_declared_encoding_does_not_matter(encoding):
    assert parse_answer("Do", f'<?xml version="1.0" encoding="{encoding}"?><a/>'.encode()).tag == "a"


@pytest.mark.parametrize(
    "body",
    [
        b"<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>m</Message></Error></Errors></Response>",
        b'<ErrorResponse xmlns="x"><Error><Type>Sender</Type><Code>RequestLimitExceeded</Code></Error></ErrorResponse>',
    ],
    ids=["ec2", "sts"],
)
def test_errors_are_read_from_both_layouts(body):
    assert isinstance(parse_error("Do", "ec2", 503, body), ThrottledError)


def test_an_error_page_of_a_proxy_keeps_its_status():
    found = parse_error("Do", "ec2", 502, b"<html>bad gateway<br></html>")
    assert found.code == ""
    assert found.retryable
    assert "HTTP 502" in found.message
