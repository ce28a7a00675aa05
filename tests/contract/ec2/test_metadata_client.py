"""Instance metadata against a server that plays it, with the gaps and lags of the real one."""

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from vpc_cni.ec2 import connect_metadata
from vpc_cni.ec2.failures import MALFORMED, UNREACHABLE
from vpc_cni.errors import AccessDeniedError, CloudError, NotFoundError

MAC0, MAC1, MAC2 = "0a:00:00:00:00:01", "0a:00:00:00:00:02", "0a:00:00:00:00:03"
MACS = "/latest/meta-data/network/interfaces/macs/"
IDENTITY = {
    "region": "us-west-2",
    "availabilityZone": "us-west-2-lax-1a",
    "instanceId": "i-1",
    "instanceType": "m5.large",
    "privateIp": "10.0.0.4",
}


def interface(eni_id: str, device_number: int, addresses: str, **more: str) -> dict[str, str]:
    fields = {
        "interface-id": eni_id,
        "device-number": str(device_number),
        "subnet-id": "subnet-1",
        "subnet-ipv4-cidr-block": "10.0.0.0/24",
        "security-group-ids": "sg-2\nsg-1",
        "vpc-ipv4-cidr-blocks": "10.0.0.0/16\n100.64.0.0/16",
        "vpc-id": "vpc-1",
    }
    return {**fields, **({"local-ipv4s": addresses} if addresses else {}), **more}


class Metadata:
    """The tree of an instance; sessions end on command."""

    def __init__(self, say) -> None:
        self.say = say
        self.session = 0
        self.interfaces = {
            MAC1: interface("eni-1", 1, "10.0.0.20\n10.0.0.21", **{"ipv4-prefix": "10.0.0.32/28", "network-card": "1"}),
            MAC0: interface("eni-0", 0, "10.0.0.4\n10.0.0.5\n10.0.0.6"),
        }
        self.pages = {
            "/latest/dynamic/instance-identity/document": json.dumps(IDENTITY),
            "/latest/meta-data/mac": MAC0,
        }

    def __call__(self, connection, request) -> bool:
        return self.say.answer(*self.answer_to(request))(connection, request)

    def answer_to(self, request) -> tuple[int, str]:
        if request.path == "/latest/api/token":
            assert request.method == "PUT"
            assert 1 <= int(request.headers["x-aws-ec2-metadata-token-ttl-seconds"]) <= 21600
            self.session += 1
            return 200, f"session-{self.session}"
        if request.headers.get("x-aws-ec2-metadata-token") != f"session-{self.session}":
            return 401, ""
        page = self.pages.get(request.path) or self.interface_page(request.path)
        return (404, "") if page is None else (200, page)

    def interface_page(self, path: str) -> str | None:
        if path == MACS:
            return "\n".join(f"{mac}/" for mac in self.interfaces)
        mac, _, name = path.removeprefix(MACS).partition("/")
        fields = self.interfaces.get(mac)
        if fields is None:
            return None
        return "\n".join(fields) if not name else fields.get(name)


@pytest.fixture
def metadata(server, say):
    server.otherwise = Metadata(say)
    return server.otherwise


@pytest.fixture
def client(server, impatient, ledger):
    environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url, "HTTP_PROXY": "http://127.0.0.1:9"}
    return connect_metadata(environ, timing=impatient, observer=ledger)


def test_identity(metadata, client, server):
    identity = client.identity()
    assert (identity.region, identity.zone) == ("us-west-2", "us-west-2-lax-1a")
    assert (identity.instance_id, identity.instance_type) == ("i-1", "m5.large")
    assert (identity.local_ipv4, identity.primary_mac) == (IPv4Address("10.0.0.4"), MAC0)
    assert len(server.received) == 3


def test_interfaces_come_primary_first_with_all_they_have(metadata, client):
    primary, second = client.list_enis(primary_mac=MAC0)
    assert (primary.eni_id, primary.mac, primary.device_number, primary.is_primary) == ("eni-0", MAC0, 0, True)
    assert primary.primary_address == IPv4Address("10.0.0.4")
    assert primary.addresses == (IPv4Address("10.0.0.5"), IPv4Address("10.0.0.6"))
    assert primary.subnet_cidr == IPv4Network("10.0.0.0/24")
    assert primary.prefixes == ()
    assert (second.device_number, second.network_card) == (1, 1)
    assert second.prefixes == (IPv4Network("10.0.0.32/28"),)


def test_the_place_of_an_interface_is_read_once(metadata, client, server):
    client.list_enis(primary_mac=MAC0)
    first = len(server.received)
    client.list_enis(primary_mac=MAC0)
    again = [request.path.rpartition("/")[2] for request in server.received[first:]]
    assert "subnet-id" not in again
    assert "subnet-ipv4-cidr-block" not in again
    assert len(again) <= 1 + 2 * 3 + 3


def test_requests_share_a_connection(metadata, client, server):
    client.list_enis(primary_mac=MAC0)
    assert server.connections == 1


def test_the_primary_interface_has_device_number_zero_whatever_is_said(metadata, client):
    metadata.interfaces[MAC0]["device-number"] = "4"
    assert client.list_enis(primary_mac=MAC0)[0].device_number == 0


def test_an_interface_that_goes_while_it_is_read_is_left_out(metadata, client):
    del metadata.interfaces[MAC1]["subnet-ipv4-cidr-block"]
    assert [eni.eni_id for eni in client.list_enis(primary_mac=MAC0)] == ["eni-0"]


def test_an_interface_without_ipv4_is_left_out(metadata, client):
    metadata.interfaces[MAC2] = interface("eni-2", 2, "")
    assert [eni.eni_id for eni in client.list_enis(primary_mac=MAC0)] == ["eni-0", "eni-1"]


def test_network_facts(metadata, client):
    assert client.security_groups(mac=MAC0) == ("sg-2", "sg-1")
    assert client.vpc_cidrs(mac=MAC0) == (IPv4Network("10.0.0.0/16"), IPv4Network("100.64.0.0/16"))
    assert client.vpc_id(mac=MAC0) == "vpc-1"


def test_a_path_that_is_not_there(metadata, client, ledger):
    assert client.find("meta-data/nothing") is None
    with pytest.raises(NotFoundError, match="meta-data/nothing"):
        client.read("meta-data/nothing")
    assert {outcome for _, outcome in ledger.calls} == {"ok"}


def test_a_session_that_ended_is_begun_anew(metadata, client, ledger):
    client.read("meta-data/mac")
    metadata.session += 10
    assert client.read("meta-data/mac") == MAC0
    assert ("Metadata", "401") in ledger.calls


def test_a_session_is_renewed_before_its_end(metadata, server, impatient, ledger):
    moment = [impatient.now()]
    timing = replace(impatient, now=lambda: moment[0])
    client = connect_metadata({"AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url}, timing=timing, observer=ledger)
    client.read("meta-data/mac")
    moment[0] += 21600 - 61
    client.read("meta-data/mac")
    assert metadata.session == 1
    moment[0] += 1
    client.read("meta-data/mac")
    assert metadata.session == 2
    assert {outcome for _, outcome in ledger.calls} == {"ok"}


def test_a_service_that_stutters_is_asked_again(server, client, say):
    server.steps = [say.answer(503), say.hang_up, say.answer(200, "session"), say.answer(500), say.answer(200, "x")]
    assert client.read("meta-data/mac") == "x"


def test_metadata_that_is_switched_off_is_said_so(server, client, say):
    server.otherwise = say.answer(403)
    with pytest.raises(AccessDeniedError, match="metadata options"):
        client.read("meta-data/mac")
    assert len(server.received) == 1


def test_metadata_out_of_reach_names_the_hop_limit(impatient):
    client = connect_metadata({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"}, timing=impatient)
    with pytest.raises(CloudError, match="hop limit") as caught:
        client.read("meta-data/mac")
    assert caught.value.code == UNREACHABLE


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/latest/dynamic/instance-identity/document", "[]"),
        ("/latest/dynamic/instance-identity/document", "{}"),
        ("/latest/dynamic/instance-identity/document", "<html>"),
        ("/latest/dynamic/instance-identity/document", json.dumps({**IDENTITY, "privateIp": "no"})),
    ],
)
def test_an_identity_that_cannot_be_read_is_refused(metadata, client, path, value):
    metadata.pages[path] = value
    with pytest.raises(CloudError) as caught:
        client.identity()
    assert caught.value.code == MALFORMED


@pytest.mark.parametrize("field", ["device-number", "local-ipv4s", "subnet-ipv4-cidr-block", "ipv4-prefix"])
def test_an_interface_that_cannot_be_read_is_refused(metadata, client, field):
    metadata.interfaces[MAC1][field] = "nonsense"
    with pytest.raises(CloudError, match=MAC1) as caught:
        client.list_enis(primary_mac=MAC0)
    assert caught.value.code == MALFORMED


def test_a_web_page_is_no_session_token(server, client, say):
    server.otherwise = say.answer(200, "<html>\n\nWelcome</html>")
    with pytest.raises(CloudError, match="no token"):
        client.read("meta-data/mac")


def test_a_huge_answer_is_refused(server, client, say):
    server.steps = [say.answer(200, "session")]
    server.otherwise = say.answer(200, "x" * 300_000)
    with pytest.raises(CloudError, match="longer than"):
        client.read("meta-data/mac")
