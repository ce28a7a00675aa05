"""Instance metadata over HTTP: tokens, paths, listings, lag, and what is not there."""

import json
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

import pytest

from vpc_cni.lab.cloud import MetadataLag, addresses, interfaces
from vpc_cni.lab.cloud.addresses import Order4, Order6
from vpc_cni.lab.cloud.interfaces import InterfaceRequest
from vpc_cni.lab.cloud.metadata.service import instance_of_address
from vpc_cni.lab.cloud.query.request import HttpRequest
from vpc_cni.lab.cloud.records import MetadataOptions

Fetch = Callable[..., tuple[int, dict[str, str], str]]
TTL = "X-aws-ec2-metadata-token-ttl-seconds"


@pytest.fixture
def read(site: Any, fetch: Fetch) -> Callable[[str], str | None]:
    """Read a path below meta-data with a token, as the instance; None for 404."""
    site.running.metadata_of = site.instance.instance_id
    _, _, token = fetch(f"{site.running.metadata_url}/latest/api/token", "PUT", {TTL: "60"})

    def get(path: str, below: str = "meta-data/") -> str | None:
        url = f"{site.running.metadata_url}/latest/{below}{path}"
        status, _, body = fetch(url, headers={"X-aws-ec2-metadata-token": token})
        assert status in {200, 404}
        return body if status == 200 else None

    return get


def test_token_rules(site: Any, fetch: Fetch) -> None:
    base = site.running.metadata_url
    site.running.metadata_of = site.instance.instance_id
    put = f"{base}/latest/api/token"
    status, headers, token = fetch(put, "PUT", {TTL: "21600"})
    assert (status, headers[TTL.lower()]) == (200, "21600")
    assert len(token) == 56
    for bad in ({}, {TTL: "0"}, {TTL: "21601"}, {TTL: "soon"}):
        assert fetch(put, "PUT", bad)[0] == 400
    assert fetch(put, "PUT", {TTL: "60", "X-Forwarded-For": "10.0.0.9"})[0] == 403
    assert fetch(put, "GET")[0] == 405
    path = f"{base}/latest/meta-data/instance-id"
    assert fetch(path)[0] == 401
    assert fetch(path, headers={"X-aws-ec2-metadata-token": "made-up"})[0] == 401
    assert fetch(path, "POST", {"X-aws-ec2-metadata-token": token})[0] == 405
    assert fetch(path, headers={"X-aws-ec2-metadata-token": token})[2] == site.instance.instance_id


def test_version_one_works_only_where_the_instance_allows_it(site: Any, fetch: Fetch) -> None:
    site.running.metadata_of = site.instance.instance_id
    path = f"{site.running.metadata_url}/latest/meta-data/instance-id"
    assert fetch(path)[0] == 401
    site.ec2.modify_instance_metadata_options(InstanceId=site.instance.instance_id, HttpTokens="optional")
    assert fetch(path)[:3:2] == (200, site.instance.instance_id)
    assert fetch(path, headers={"X-aws-ec2-metadata-token": "made-up"})[0] == 401


def test_a_token_is_good_for_one_instance(site: Any, fetch: Fetch) -> None:
    site.running.metadata_of = site.instance.instance_id
    _, _, token = fetch(f"{site.running.metadata_url}/latest/api/token", "PUT", {TTL: "60"})
    other = site.ec2.run_instances(
        ImageId="ami-1", InstanceType="m5.large", MinCount=1, MaxCount=1, SubnetId=site.subnet.subnet_id
    )["Instances"][0]["InstanceId"]
    site.running.metadata_of = other
    path = f"{site.running.metadata_url}/latest/meta-data/instance-id"
    assert fetch(path, headers={"X-aws-ec2-metadata-token": token})[0] == 401
    site.running.metadata_of = None
    assert fetch(path)[0] == 404


def test_identity_paths(site: Any, read: Any) -> None:
    primary = site.do(lambda cloud: cloud.interfaces_of(site.instance.instance_id)[0])
    assert {path: read(path) for path in ("instance-id", "instance-type", "local-ipv4", "mac", "ipv6")} == {
        "instance-id": site.instance.instance_id,
        "instance-type": "m5.large",
        "local-ipv4": str(primary.primary),
        "mac": primary.mac,
        "ipv6": None,
    }
    assert read("placement/availability-zone") == "us-west-2a"
    assert read("placement/region") == "us-west-2"
    assert read("placement/") == "availability-zone\navailability-zone-id\nregion"
    assert read("placement") == read("placement/")
    assert read("nonsense") is None
    assert read("instance-id/more") is None
    assert "network/" in str(read("")).splitlines()
    assert read("", below="") == "dynamic/\nmeta-data/"
    document = json.loads(read("instance-identity/document", below="dynamic/"))
    assert (document["instanceId"], document["region"], document["privateIp"]) == (
        site.instance.instance_id,
        "us-west-2",
        str(primary.primary),
    )


def test_interface_paths(site: Any, read: Any) -> None:
    eni = site.do(lambda cloud: new_interface(cloud, site.subnet.subnet_id))
    site.attach(eni.eni_id)
    primary = site.do(lambda cloud: cloud.interfaces_of(site.instance.instance_id)[0])
    assert set(read("network/interfaces/macs/").splitlines()) == {f"{eni.mac}/", f"{primary.mac}/"}
    base = f"network/interfaces/macs/{eni.mac}"
    expected = {
        "device-number": "1",
        "interface-id": eni.eni_id,
        "local-ipv4s": "\n".join(map(str, (eni.primary, *eni.secondary))),
        "ipv4-prefix": str(eni.prefixes[0]),
        "ipv6s": str(eni.ipv6[0]),
        "ipv6-prefix": str(eni.ipv6_prefixes[0]),
        "security-group-ids": eni.groups[0],
        "subnet-id": site.subnet.subnet_id,
        "subnet-ipv4-cidr-block": "10.0.0.0/24",
        "subnet-ipv6-cidr-blocks": str(site.subnet.ipv6_cidr),
        "vpc-id": site.vpc.vpc_id,
        "vpc-ipv4-cidr-block": "10.0.0.0/16",
        "vpc-ipv4-cidr-blocks": "10.0.0.0/16",
        "vpc-ipv6-cidr-blocks": str(site.vpc.ipv6_cidr),
        "network-card": "0",
        "mac": eni.mac,
    }
    assert {name: read(f"{base}/{name}") for name in expected} == expected
    assert set(expected) <= set(read(base).splitlines())
    primary_base = f"network/interfaces/macs/{primary.mac}"
    assert [read(f"{primary_base}/{name}") for name in ("ipv4-prefix", "ipv6s", "ipv6-prefix")] == [None] * 3


def new_interface(cloud: Any, subnet_id: str) -> Any:
    order, order6 = Order4(count=2), Order6(count=1)
    made = interfaces.create(cloud, InterfaceRequest(subnet_id, ipv4=order, ipv6=order6))
    addresses.assign(cloud, made.eni_id, Order4(prefixes=(IPv4Network("10.0.0.64/28"),)))
    return addresses.assign6(cloud, made.eni_id, Order6(prefix_count=1)).eni


def test_metadata_lags_behind_ec2(site: Any, read: Any) -> None:
    macs = "network/interfaces/macs/"
    number = site.do(lambda cloud: cloud.faults.add(MetadataLag(60.0)))
    eni_id = site.new_eni()
    site.attach(eni_id)
    assert site.eni(eni_id)["Attachment"]["Status"] == "attached"
    assert len(read(macs).splitlines()) == 1
    site.do(lambda cloud: cloud.faults.remove(number))
    assert len(read(macs).splitlines()) == 2
    site.do(lambda cloud: cloud.configure(metadata_lag_seconds=60.0))
    assert len(read(macs).splitlines()) == 1


def test_an_interface_appears_when_attached_and_goes_when_detaching(site: Any, read: Any) -> None:
    macs = "network/interfaces/macs/"
    site.do(lambda cloud: cloud.configure(detach_seconds=60.0))
    attachment_id = site.attach(site.new_eni())
    assert len(read(macs).splitlines()) == 2
    site.ec2.detach_network_interface(AttachmentId=attachment_id)
    assert len(read(macs).splitlines()) == 1


def test_role_credentials_stay_while_they_live(site: Any, read: Any) -> None:
    path = "iam/security-credentials/"
    assert read(path) == "node"
    first = json.loads(read(path + "node"))
    assert (first["Code"], first["Type"]) == ("Success", "AWS-HMAC")
    assert json.loads(read(path + "node")) == first
    assert "instance-profile/node" in json.loads(read("iam/info"))["InstanceProfileArn"]


def test_the_instance_is_known_by_any_address_of_its_interfaces(site: Any) -> None:
    eni = site.do(lambda cloud: new_interface(cloud, site.subnet.subnet_id))
    in_prefix = eni.prefixes[0].network_address + 5

    def owners(cloud: Any) -> list[str | None]:
        peers = (eni.primary, eni.secondary[0], eni.ipv6[0], in_prefix, "10.0.0.200")
        return [instance_of_address(cloud, str(peer)) for peer in peers]

    assert site.do(owners) == [None] * 5
    site.attach(eni.eni_id)
    assert site.do(owners) == [site.instance.instance_id] * 4 + [None]


def test_token_answers_carry_the_hop_limit(site: Any) -> None:
    site.ec2.modify_instance_metadata_options(InstanceId=site.instance.instance_id, HttpPutResponseHopLimit=5)
    assert site.cloud.instance(site.instance.instance_id).metadata_options == MetadataOptions(5, True)
    site.running.metadata_of = site.instance.instance_id
    request = HttpRequest("PUT", "/latest/api/token", {TTL.lower(): "60"})
    assert site.do(lambda _: site.running.faces.metadata.handle(request)).hop_limit == 5
