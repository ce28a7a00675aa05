"""The clients against the lab's cloud: limits, denials, lags and lost answers of EC2, STS and metadata, as on AWS."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Network

import pytest

from vpc_cni.ec2 import (
    CallKind,
    Ec2Access,
    Ec2Client,
    MetadataClient,
    Timing,
    connect_ec2,
    connect_metadata,
    is_outcome_unknown,
    shortage_of,
)
from vpc_cni.errors import AccessDeniedError, CloudError, NotFoundError, Shortage, ThrottledError
from vpc_cni.lab.cloud import (
    Bucket,
    Cloud,
    Denial,
    InjectedError,
    LostAnswer,
    MetadataLag,
    SubnetFull,
    Throttle,
    instances,
    networks,
)
from vpc_cni.lab.cloud.identity.roles import Trust
from vpc_cni.lab.cloud.running import RunningCloud

ROLE = "aws-node"
SUBJECT = "system:serviceaccount:kube-system:aws-node"
SUBNET = IPv4Network("10.0.0.0/24")
TAGS = {"node.k8s.amazonaws.com/instance_id": "i-1", "cluster.k8s.amazonaws.com/name": "lab"}


@dataclass(frozen=True)
class Node:
    """An instance in a running cloud, and how its agent would connect."""

    running: RunningCloud
    vpc_id: str
    subnet_id: str
    instance_id: str
    group_id: str
    timing: Timing

    def connect(self, environ: dict[str, str] | None = None, **options) -> Ec2Access:
        full = self.running.environment() if environ is None else environ
        metadata = connect_metadata(full, timing=self.timing)
        options = {"http_timeout_seconds": 5.0, "timing": self.timing, **options}
        return connect_ec2(full, region=self.running.cloud.settings.region, metadata=metadata, **options)

    @property
    def metadata(self) -> MetadataClient:
        return connect_metadata(self.running.environment(), timing=self.timing)

    def do(self, work: Callable[[Cloud], object]) -> object:
        return self.running.do(work)

    def fault(self, fault) -> None:
        self.running.do(lambda cloud: cloud.faults.add(fault))

    def endpoints(self) -> dict[str, str]:
        """Return the environment without keys."""
        names = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_EC2_METADATA_SERVICE_ENDPOINT")
        return {name: self.running.environment()[name] for name in names}

    def calls(self, operation: str, code: str | None = None) -> int:
        return self.running.do(lambda cloud: cloud.calls.count(operation, code))


@pytest.fixture(scope="module")
def running() -> Iterator[RunningCloud]:
    """One cloud for all tests: stopping a server takes longer than most of them."""
    with RunningCloud(Cloud(seed=7)) as running:
        yield running


@pytest.fixture
def node(running: RunningCloud, impatient: Timing) -> Iterator[Node]:
    """A node in a VPC of its own; faults, counts and settings are as new."""

    def build(cloud: Cloud) -> Node:
        cloud.calls.counts.clear()
        vpc = networks.create_vpc(cloud, IPv4Network("10.0.0.0/16"))
        subnet = networks.create_subnet(cloud, vpc.vpc_id, SUBNET)
        cloud.identities.create_role(ROLE)
        request = instances.simple_request(subnet.subnet_id, "m5.large", role_name=ROLE, given={"Name": "node-1"})
        instance = instances.run(cloud, request)
        running.metadata_of = instance.instance_id
        group_id = cloud.interfaces_of(instance.instance_id)[0].groups[0]
        return Node(running, vpc.vpc_id, subnet.subnet_id, instance.instance_id, group_id, impatient)

    yield running.do(build)
    running.do(lambda cloud: (cloud.faults.clear(), cloud.configure(session_seconds=None)))


def create(node: Node, client: Ec2Client, count: int = 3, **options):
    return client.create_network_interface(
        subnet_id=node.subnet_id,
        security_groups=[node.group_id],
        description=f"aws-K8S-{node.instance_id}",
        tags=TAGS,
        secondary_address_count=count,
        **options,
    )


def grow(node: Node, client: Ec2Client, count: int = 3) -> tuple[str, str]:
    """Create and attach an interface as device 1; return its id and its attachment's."""
    eni_id = create(node, client, count).eni_id
    return eni_id, client.attach_network_interface(eni_id=eni_id, instance_id=node.instance_id, device_number=1)


# --- the life of an interface -------------------------------------------------------------------------------------


def test_an_interface_comes_with_its_addresses(node):
    created = create(node, node.connect().client, count=4)
    assert created.primary_address in SUBNET
    assert len(set(created.addresses) | {created.primary_address}) == 5
    assert created.security_groups == (node.group_id,)
    assert created.tags == TAGS
    assert (created.status, created.attachment) == ("available", None)
    assert (created.subnet_id, created.vpc_id, created.interface_type) == (node.subnet_id, node.vpc_id, "interface")
    assert created.description == f"aws-K8S-{node.instance_id}"


def test_an_attached_interface_is_the_eni_that_metadata_shows(node):
    client = node.connect().client
    eni_id, attachment_id = grow(node, client)
    client.set_delete_on_termination(eni_id=eni_id, attachment_id=attachment_id)
    (described,) = client.describe_network_interfaces(ids=[eni_id])
    assert described.attachment is not None
    assert described.attachment.delete_on_termination
    assert described.attachment.instance_id == node.instance_id

    primary, shown = node.metadata.list_enis(primary_mac=node.metadata.identity().primary_mac)
    assert primary.is_primary
    assert shown == replace(described.as_eni(SUBNET), attachment_id="")


def test_addresses_are_assigned_and_given_back(node):
    client = node.connect().client
    eni_id, _ = grow(node, client, count=1)
    added = client.assign_private_ip_addresses(eni_id=eni_id, count=3)
    (described,) = client.describe_network_interfaces(ids=[eni_id])
    assert set(added) < set(described.addresses)
    client.unassign_private_ip_addresses(eni_id=eni_id, addresses=added[:2])
    (described,) = client.describe_network_interfaces(ids=[eni_id])
    assert set(described.addresses) & set(added) == {added[2]}


def test_an_interface_is_detached_and_deleted_and_both_may_be_repeated(node):
    client = node.connect().client
    eni_id, attachment_id = grow(node, client)
    with pytest.raises(CloudError) as caught:
        client.delete_network_interface(eni_id=eni_id)
    assert not caught.value.retryable
    for _ in range(2):
        client.detach_network_interface(attachment_id=attachment_id)
    for _ in range(2):
        client.delete_network_interface(eni_id=eni_id)
    assert client.describe_network_interfaces(ids=[eni_id]) == ()


def test_security_groups_and_tags_are_set(node):
    client = node.connect().client
    other = node.do(lambda cloud: networks.create_group(cloud, node.vpc_id, "other", "another one")).group_id
    eni_id = create(node, client).eni_id
    client.set_security_groups(eni_id=eni_id, security_groups=[other])
    client.create_tags(resource_ids=[eni_id], tags={"more": "x"})
    (described,) = client.describe_network_interfaces(ids=[eni_id])
    assert described.security_groups == (other,)
    assert described.tags == TAGS | {"more": "x"}


# --- reading ------------------------------------------------------------------------------------------------------


def test_the_own_instance_shows_which_device_numbers_are_taken(node):
    client = node.connect().client
    grow(node, client)
    instance = client.describe_instance(instance_id=node.instance_id)
    assert instance.device_numbers() == {0, 1}
    assert (instance.state, instance.instance_type) == ("running", "m5.large")
    assert (instance.vpc_id, instance.subnet_id, instance.tags["Name"]) == (node.vpc_id, node.subnet_id, "node-1")


def test_only_instances_that_exist_are_found(node):
    client = node.connect().client
    found = client.describe_instances(ids=[node.instance_id, "i-0123456789abcdef0"])
    assert [instance.instance_id for instance in found] == [node.instance_id]
    with pytest.raises(NotFoundError):
        client.describe_instance(instance_id="i-0123456789abcdef0")


def test_interfaces_that_are_gone_are_left_out(node):
    client = node.connect().client
    eni_id = create(node, client).eni_id
    ids = ["eni-0123456789abcdef0", eni_id, "eni-0123456789abcdef1"]
    assert [found.eni_id for found in client.describe_network_interfaces(ids=ids)] == [eni_id]


def test_leaked_interfaces_are_found_page_by_page(node):
    client = node.connect().client
    made = {create(node, client, count=0).eni_id for _ in range(12)}
    grow(node, client)
    filters = {
        "tag-key": ["node.k8s.amazonaws.com/instance_id"],
        "status": ["available"],
        "tag:cluster.k8s.amazonaws.com/name": ["lab"],
        "vpc-id": [node.vpc_id],
    }
    before = node.calls("DescribeNetworkInterfaces")
    found = [interface.eni_id for interface in client.find_network_interfaces(filters=filters, page_size=5)]
    assert sorted(found) == sorted(made)
    assert node.calls("DescribeNetworkInterfaces") - before == 3


def test_subnets_and_types_are_described(node):
    client = node.connect().client
    (subnet,) = client.describe_subnets(filters={"vpc-id": [node.vpc_id]})
    assert (subnet.subnet_id, subnet.cidr) == (node.subnet_id, SUBNET)
    assert subnet.free_addresses == 251 - 1
    found = client.describe_instance_type(name="m5.large")
    assert (found.maximum_interfaces, found.ipv4_addresses_per_interface) == (3, 10)
    assert (found.hypervisor, found.bare_metal, found.default_network_card) == ("nitro", False, 0)
    assert [card.maximum_interfaces for card in found.network_cards] == [3]


# --- why growth fails ---------------------------------------------------------------------------------------------


def test_a_full_subnet_is_a_full_subnet(node):
    node.fault(SubnetFull(node.subnet_id))
    with pytest.raises(CloudError) as caught:
        create(node, node.connect().client)
    assert shortage_of(caught.value) is Shortage.SUBNET_FULL
    assert not caught.value.retryable


def test_too_many_interfaces_is_the_limit_of_the_type(node):
    client = node.connect().client
    ids = [create(node, client, count=0).eni_id for _ in range(3)]
    for number, eni_id in enumerate(ids[:2], start=1):
        client.attach_network_interface(eni_id=eni_id, instance_id=node.instance_id, device_number=number)
    with pytest.raises(CloudError) as caught:
        client.attach_network_interface(eni_id=ids[2], instance_id=node.instance_id, device_number=3)
    assert shortage_of(caught.value) is Shortage.ENI_LIMIT


def test_too_many_addresses_is_the_limit_of_the_type(node):
    client = node.connect().client
    eni_id, _ = grow(node, client, count=9)
    with pytest.raises(CloudError) as caught:
        client.assign_private_ip_addresses(eni_id=eni_id, count=1)
    assert shortage_of(caught.value) is Shortage.ENI_LIMIT


def test_a_denial_names_the_permission(node):
    node.fault(Denial("ec2:CreateNetworkInterface"))
    with pytest.raises(AccessDeniedError, match="allow ec2:CreateNetworkInterface") as caught:
        create(node, node.connect().client)
    assert shortage_of(caught.value) is Shortage.DENIED
    assert node.calls("CreateNetworkInterface") == 1


def test_an_empty_account_budget_is_throttling_and_slows_the_node(node):
    access = node.connect(call_seconds=3.0)
    node.fault(Throttle(write=Bucket(1, 0.001)))
    create(node, access.client)
    with pytest.raises(ThrottledError) as caught:
        create(node, access.client)
    assert shortage_of(caught.value) is Shortage.THROTTLED
    assert access.budget.bucket(CallKind.MUTATING).rate < 3.0
    assert access.client.describe_network_interfaces(ids=[]) == ()


def test_a_short_shortage_of_tokens_is_waited_out(node):
    node.fault(Throttle(write=Bucket(2, 5)))
    client = node.connect().client
    made = {create(node, client, count=0).eni_id for _ in range(5)}
    assert len(made) == 5


# --- broken and lagging service -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        InjectedError("CreateNetworkInterface", times=2),
        InjectedError("CreateNetworkInterface", times=1, after_effect=True),
        LostAnswer("CreateNetworkInterface", times=2),
    ],
    ids=["before", "after", "lost"],
)
def test_a_creation_that_fails_on_the_way_is_done_once(node, fault):
    node.fault(fault)
    created = create(node, node.connect().client)
    enis = node.do(lambda cloud: [eni for eni in cloud.interfaces.values() if eni.subnet_id == node.subnet_id])
    assert [eni.eni_id for eni in enis if eni.attachment is None] == [created.eni_id]


def test_an_assignment_with_a_lost_answer_is_left_to_the_caller(node):
    client = node.connect().client
    eni_id = create(node, client, count=0).eni_id
    node.fault(LostAnswer("AssignPrivateIpAddresses", times=1))
    with pytest.raises(CloudError) as caught:
        client.assign_private_ip_addresses(eni_id=eni_id, count=2)
    assert is_outcome_unknown(caught.value)
    (described,) = client.describe_network_interfaces(ids=[eni_id])
    assert len(described.addresses) == 2


def test_removals_with_lost_answers_succeed(node):
    client = node.connect().client
    eni_id, attachment_id = grow(node, client)
    node.fault(LostAnswer("Detach*", times=1))
    node.fault(LostAnswer("Delete*", times=1))
    client.detach_network_interface(attachment_id=attachment_id)
    client.delete_network_interface(eni_id=eni_id)
    assert node.calls("DeleteNetworkInterface") == 2


def test_metadata_that_lags_shows_the_past(node):
    node.timing.pause(0.3)
    node.fault(MetadataLag(0.3))
    mac = node.metadata.identity().primary_mac
    grow(node, node.connect().client)
    assert [eni.device_number for eni in node.metadata.list_enis(primary_mac=mac)] == [0]
    node.timing.pause(0.3)
    assert [eni.device_number for eni in node.metadata.list_enis(primary_mac=mac)] == [0, 1]


def test_what_a_new_node_reads_from_metadata(node):
    identity = node.metadata.identity()
    region = node.running.cloud.settings.region
    assert (identity.region, identity.zone) == (region, region + "a")
    assert (identity.instance_id, identity.instance_type) == (node.instance_id, "m5.large")
    (primary,) = node.metadata.list_enis(primary_mac=identity.primary_mac)
    assert primary.primary_address == identity.local_ipv4
    assert (primary.subnet_id, primary.subnet_cidr) == (node.subnet_id, SUBNET)
    assert node.metadata.security_groups(mac=identity.primary_mac) == (node.group_id,)
    assert node.metadata.vpc_cidrs(mac=identity.primary_mac) == (IPv4Network("10.0.0.0/16"),)
    assert node.metadata.vpc_id(mac=identity.primary_mac) == node.vpc_id


# --- credentials --------------------------------------------------------------------------------------------------


@pytest.fixture
def web_identity(node, tmp_path):
    issuer, identities = node.running.faces.issuer, node.running.cloud.identities
    role = node.do(lambda _: identities.create_role(ROLE, Trust(issuer.url, subjects=(SUBJECT,))))
    token_file = tmp_path / "token"
    token_file.write_text(issuer.token(SUBJECT, ["sts.amazonaws.com"], 3600))
    return {**node.endpoints(), "AWS_ROLE_ARN": role.arn, "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file)}


def last_role(node: Node) -> str:
    return node.do(lambda cloud: cloud.calls.recent[-1].role_name)


def test_web_identity(node, web_identity):
    client = node.connect(web_identity).client
    create(node, client)
    create(node, client)
    assert last_role(node) == ROLE
    assert node.calls("AssumeRoleWithWebIdentity") == 1


def test_a_token_of_another_service_account_is_not_trusted(node, web_identity, tmp_path):
    other = node.running.faces.issuer.token("system:serviceaccount:default:x", ["sts.amazonaws.com"], 3600)
    (tmp_path / "token").write_text(other)
    with pytest.raises(CloudError, match="sts:AssumeRoleWithWebIdentity") as caught:
        create(node, node.connect(web_identity).client)
    assert shortage_of(caught.value) is Shortage.DENIED
    assert node.calls("CreateNetworkInterface") == 0


def test_pod_identity(node, tmp_path):
    node.do(lambda _: node.running.faces.pod_identity.associate(SUBJECT, ROLE))
    (tmp_path / "token").write_text(node.running.faces.issuer.token(SUBJECT, ["pods.eks.amazonaws.com"], 3600))
    environ = {
        **node.endpoints(),
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": node.running.api_url + "/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
    }
    create(node, node.connect(environ).client)
    assert last_role(node) == ROLE


def test_a_pod_without_a_pod_identity_is_told_so(node, tmp_path):
    stranger = "system:serviceaccount:default:stranger"
    (tmp_path / "token").write_text(node.running.faces.issuer.token(stranger, ["pods.eks.amazonaws.com"], 3600))
    environ = {
        **node.endpoints(),
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": node.running.api_url + "/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
    }
    with pytest.raises(CloudError, match="No pod identity association"):
        create(node, node.connect(environ).client)


def test_the_instance_role(node):
    create(node, node.connect(node.endpoints()).client)
    assert last_role(node) == ROLE


def test_keys_that_were_revoked_are_replaced(node, web_identity):
    client = node.connect(web_identity).client
    create(node, client)
    keys = node.do(lambda cloud: [key for key in cloud.identities._keys if key.startswith("ASIA")])
    for key in keys:
        node.do(lambda cloud, key=key: cloud.identities.revoke(key))
    create(node, client)
    assert node.calls("AssumeRoleWithWebIdentity") == 2
    assert node.calls("CreateNetworkInterface", "AuthFailure") == 1


def test_keys_are_renewed_as_they_age(node, web_identity):
    moment = [0.0]
    real = node.timing
    timing = replace(real, wall_now=lambda: real.wall_now() + moment[0])
    node.do(lambda cloud: cloud.configure(session_seconds=200.0))
    client = node.connect(web_identity, timing=timing).client
    create(node, client)
    # Ageing by our clock, valid by EC2's: the call signs with the old keys while new ones are fetched beside it.
    moment[0] = 160.0
    create(node, client)
    deadline = real.now() + 5
    while node.calls("AssumeRoleWithWebIdentity") < 2 and real.now() < deadline:
        real.pause(0.01)
    assert node.calls("AssumeRoleWithWebIdentity") == 2
    assert node.calls("CreateNetworkInterface", "") == 2
