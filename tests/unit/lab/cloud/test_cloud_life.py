"""Time and events of the cloud: what watchers are told, in which order, and what time alone changes."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from vpc_cni.lab.cloud import (
    Cloud,
    CloudApiError,
    CloudSettings,
    Delay,
    InjectedError,
    LostAnswer,
    ManualClock,
    SubnetFull,
    addresses,
    instances,
    interfaces,
    networks,
    tags,
)
from vpc_cni.lab.cloud.addresses import Order4
from vpc_cni.lab.cloud.ec2.service import EC2
from vpc_cni.lab.cloud.events import Event
from vpc_cni.lab.cloud.identity.signature import authenticate
from vpc_cni.lab.cloud.interfaces import InterfaceRequest
from vpc_cni.lab.cloud.metadata.service import MetadataService
from vpc_cni.lab.cloud.query.dispatcher import Admission, Dispatcher
from vpc_cni.lab.cloud.query.request import HttpRequest
from vpc_cni.lab.cloud.records import AttachmentStatus, Instance, InstanceState, Subnet
from vpc_cni.sigv4 import Refusal, RefusedError


class Lab:
    """A cloud on a manual clock with one node, and the names of the events since."""

    def __init__(self, **settings: float) -> None:
        self.clock = ManualClock()
        self.cloud = Cloud(CloudSettings(**settings), clock=self.clock, seed=1)
        vpc = networks.create_vpc(self.cloud, IPv4Network("10.0.0.0/16"))
        self.subnet: Subnet = networks.create_subnet(self.cloud, vpc.vpc_id, IPv4Network("10.0.0.0/24"))
        self.events: list[Event] = []
        self.cloud.subscribe(self.events.append)
        request = instances.simple_request(self.subnet.subnet_id, "m5.large", role_name="node")
        self.node: Instance = instances.run(self.cloud, request)

    def told(self) -> list[str]:
        names = [type(event).__name__ for event in self.events]
        self.events.clear()
        return names

    def new_eni(self, count: int = 0) -> str:
        request = InterfaceRequest(self.subnet.subnet_id, ipv4=Order4(count=count))
        return interfaces.create(self.cloud, request).eni_id

    def status(self, eni_id: str) -> str:
        self.cloud.now()
        attachment = self.cloud.interface(eni_id).attachment
        return attachment.status.value if attachment else "available"


def test_events_come_in_the_order_of_changes() -> None:
    lab = Lab()
    assert lab.told() == ["InstanceStarted", "EniAttached"]
    eni_id = lab.new_eni()
    attachment = interfaces.attach(lab.cloud, eni_id, lab.node.instance_id, 1, delete_on_termination=True)
    given = addresses.assign(lab.cloud, eni_id, Order4(count=2))
    addresses.unassign(lab.cloud, eni_id, given.addresses[:1])
    interfaces.set_source_dest_check(lab.cloud, eni_id, False)
    assert lab.told() == ["EniAttached", "AddressesAssigned", "AddressesUnassigned", "EniModified"]
    interfaces.detach(lab.cloud, attachment.attachment_id)
    interfaces.delete(lab.cloud, eni_id)
    assert lab.told() == ["EniDetached", "EniDeleted"]
    instances.terminate(lab.cloud, lab.node.instance_id)
    assert lab.told() == ["EniDetached", "EniDeleted", "InstanceTerminated"]


def test_what_changes_nothing_tells_nothing() -> None:
    lab = Lab()
    eni_id = lab.new_eni(1)
    mine = lab.cloud.interface(eni_id).secondary
    lab.told()
    assert addresses.assign(lab.cloud, eni_id, Order4(addresses=mine)).addresses == mine
    addresses.unassign(lab.cloud, eni_id)
    instances.terminate(lab.cloud, lab.node.instance_id)
    lab.told()
    instances.terminate(lab.cloud, lab.node.instance_id)
    assert lab.told() == []


def test_a_moved_address_leaves_before_it_arrives() -> None:
    lab = Lab()
    old, new = lab.new_eni(), lab.new_eni()
    order = Order4(addresses=(IPv4Address("10.0.0.77"),))
    addresses.assign(lab.cloud, old, order)
    lab.told()
    addresses.assign(lab.cloud, new, order, allow_reassignment=True)
    assert [(type(e).__name__, e.eni.eni_id) for e in lab.events] == [  # type: ignore[union-attr]
        ("AddressesUnassigned", old),
        ("AddressesAssigned", new),
    ]


def test_an_ended_subscription_hears_nothing() -> None:
    lab = Lab()
    heard: list[Event] = []
    lab.cloud.subscribe(heard.append)()
    lab.new_eni()
    interfaces.attach(lab.cloud, lab.new_eni(), lab.node.instance_id, 1)
    assert heard == []


def test_attaching_and_detaching_end_by_time_alone() -> None:
    lab = Lab(attach_seconds=2.0, detach_seconds=3.0)
    eni_id = lab.new_eni()
    attachment = interfaces.attach(lab.cloud, eni_id, lab.node.instance_id, 1)
    assert lab.status(eni_id) == "attaching"
    lab.clock.advance(1.9)
    assert lab.status(eni_id) == "attaching"
    lab.clock.advance(0.1)
    assert lab.status(eni_id) == "attached"
    interfaces.detach(lab.cloud, attachment.attachment_id)
    interfaces.detach(lab.cloud, attachment.attachment_id)
    lab.clock.advance(2.9)
    assert lab.status(eni_id) == "detaching"
    with pytest.raises(CloudApiError, match="currently in use"):
        interfaces.delete(lab.cloud, eni_id)
    lab.clock.advance(0.1)
    assert lab.status(eni_id) == "available"
    interfaces.delete(lab.cloud, eni_id)


def test_an_interface_detached_while_attaching_stays_detached() -> None:
    lab = Lab(attach_seconds=5.0, detach_seconds=1.0)
    eni_id = lab.new_eni()
    attachment = interfaces.attach(lab.cloud, eni_id, lab.node.instance_id, 1)
    interfaces.detach(lab.cloud, attachment.attachment_id)
    lab.clock.advance(10.0)
    assert lab.status(eni_id) == "available"


def test_an_instance_boots_with_its_interface_attached() -> None:
    lab = Lab(attach_seconds=60.0)
    primary = lab.cloud.interfaces_of(lab.node.instance_id)[0]
    assert primary.attachment is not None
    assert primary.attachment.status is AttachmentStatus.ATTACHED


def test_terminating_keeps_what_is_not_marked_and_is_forgotten_after_an_hour() -> None:
    lab = Lab(detach_seconds=30.0)
    kept = lab.new_eni()
    interfaces.attach(lab.cloud, kept, lab.node.instance_id, 1)
    tags.create(lab.cloud, [lab.node.instance_id], {"Name": "x"})
    primary = lab.cloud.interfaces_of(lab.node.instance_id)[0].eni_id
    instances.terminate(lab.cloud, lab.node.instance_id)
    assert primary not in lab.cloud.interfaces
    assert lab.status(kept) == "available"
    assert lab.cloud.instance(lab.node.instance_id).state is InstanceState.TERMINATED
    lab.clock.advance(3601.0)
    lab.cloud.now()
    with pytest.raises(CloudApiError, match="does not exist"):
        lab.cloud.instance(lab.node.instance_id)
    assert tags.of(lab.cloud, lab.node.instance_id) == ()


def test_a_failed_start_leaves_nothing() -> None:
    lab = Lab()
    free = lab.cloud.spaces[lab.subnet.subnet_id].free_count
    specs = tuple(
        instances.InterfaceSpec(index, InterfaceRequest(lab.subnet.subnet_id), card_index=0) for index in range(4)
    )
    with pytest.raises(CloudApiError, match=r"exceeds the limit for m5\.large"):
        instances.run(lab.cloud, instances.RunRequest("m5.large", specs))
    assert lab.cloud.spaces[lab.subnet.subnet_id].free_count == free
    assert len(lab.cloud.interfaces) == 1
    assert lab.told() == ["InstanceStarted", "EniAttached", *["EniDeleted"] * 4]


def test_each_network_card_has_its_own_indexes_and_limit() -> None:
    lab = Lab()
    wide = instances.run(lab.cloud, instances.simple_request(lab.subnet.subnet_id, "p4d.24xlarge"))
    interfaces.attach(lab.cloud, lab.new_eni(), wide.instance_id, 1, card_index=1)
    interfaces.attach(lab.cloud, lab.new_eni(), wide.instance_id, 1, card_index=0)
    with pytest.raises(CloudApiError, match="already has an interface attached at device index"):
        interfaces.attach(lab.cloud, lab.new_eni(), wide.instance_id, 1, card_index=1)
    with pytest.raises(CloudApiError, match="card index 4"):
        interfaces.attach(lab.cloud, lab.new_eni(), wide.instance_id, 1, card_index=4)


def test_the_same_seed_gives_the_same_cloud() -> None:
    first, second = Lab(), Lab()
    for lab in (first, second):
        lab.new_eni(5)
    assert first.cloud.interfaces.values() == second.cloud.interfaces.values()


def test_role_credentials_are_renewed_when_a_quarter_of_their_life_is_left() -> None:
    lab = Lab(session_seconds=100.0)
    service = MetadataService(lab.cloud, lambda _: lab.node.instance_id)
    instances.set_metadata_options(lab.cloud, lab.node.instance_id, instances.MetadataOptions(tokens_required=False))
    request = HttpRequest("GET", "/latest/meta-data/iam/security-credentials/node", {})
    first = service.handle(request).body
    lab.clock.advance(74.0)
    assert service.handle(request).body == first
    lab.clock.advance(2.0)
    assert service.handle(request).body != first


def test_metadata_tokens_end() -> None:
    lab = Lab()
    service = MetadataService(lab.cloud, lambda _: lab.node.instance_id)
    ttl = {"x-aws-ec2-metadata-token-ttl-seconds": "10"}
    token = service.handle(HttpRequest("PUT", "/latest/api/token", ttl)).body.decode()
    read = HttpRequest("GET", "/latest/meta-data/mac", {"x-aws-ec2-metadata-token": token})
    lab.clock.advance(9.9)
    assert service.handle(read).status == 200
    lab.clock.advance(0.1)
    assert service.handle(read).status == 401


def test_old_requests_and_ended_sessions_are_told_apart() -> None:
    lab = Lab()
    issued = lab.cloud.identities.issue("node", "s", 60.0)
    scope = f"{issued.access_key_id}/20231114/us-west-2/ec2/aws4_request"
    request = HttpRequest(
        "POST",
        "/",
        {
            "host": "ec2",
            "x-amz-date": "20231114T220000Z",
            "x-amz-security-token": issued.token,
            "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, "
            f"Signature={'0' * 64}",
        },
    )

    def reason(now: float) -> Refusal:
        with pytest.raises(RefusedError) as caught:
            authenticate(request, lab.cloud.identities, service="ec2", region="us-west-2", now=now, verify=True)
        return caught.value.reason

    assert reason(lab.clock.now) is Refusal.REQUEST_TOO_OLD
    assert reason(lab.clock.now + 60) is Refusal.SESSION_EXPIRED
    assert reason(lab.clock.now - 700) is Refusal.WRONG_SIGNATURE


def test_faults_that_count_run_out_and_removal_may_be_repeated() -> None:
    faults = Lab().cloud.faults
    number = faults.add(InjectedError("Create*", "X", times=1))
    lost = faults.add(LostAnswer("*", times=None))
    assert faults.take_error("DescribeVpcs", after_effect=False) is None
    assert faults.take_error("CreateVpc", after_effect=True) is None
    error = faults.take_error("CreateVpc", after_effect=False)
    assert error is not None
    assert error.code == "X"
    assert faults.take_error("CreateVpc", after_effect=False) is None
    assert faults.take_lost_answer("Any")
    assert list(faults.active()) == [lost]
    faults.remove(number)
    faults.add(SubnetFull("subnet-1"))
    faults.clear()
    assert faults.active() == {}
    assert not faults.is_subnet_full("subnet-1")


def test_latency_is_that_of_the_longest_pattern_and_of_every_delay() -> None:
    latencies = {"*": 1.0, "Describe*": 2.0, "DescribeVpcs": 4.0}
    cloud = Cloud(CloudSettings(latency_seconds=latencies, verify_signatures=False), clock=ManualClock())
    cloud.faults.add(Delay("DescribeV*", 8.0))
    cloud.faults.add(Delay("*Vpcs", 16.0))
    cloud.faults.add(Delay("*Vpcs", 32.0, after_effect=True))
    face = Dispatcher(cloud, EC2)
    scope = f"{cloud.identities.admin.access_key_id}/20231114/us-west-2/ec2/aws4_request"
    signed = {"authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"}

    def admit(action: str) -> Admission:
        admission = face.admit(HttpRequest("GET", "/", signed, query=f"Action={action}"))
        assert isinstance(admission, Admission)
        return admission

    actions = ("CreateVpc", "DescribeSubnets", "DescribeVpcs")
    assert [admit(action).delay_seconds for action in actions] == [1.0, 2.0, 28.0]
    assert face.perform(admit("DescribeVpcs")).delay_seconds == 32.0


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("us-west-2", "usw2-az1"),
        ("ap-northeast-1", "apne1-az1"),
        ("eu-central-1", "euc1-az1"),
        ("us-east-1", "use1-az1"),
    ],
)
def test_zone_ids(region: str, expected: str) -> None:
    settings = CloudSettings(region=region)
    assert networks.zone_id(settings, settings.zones[0]) == expected
