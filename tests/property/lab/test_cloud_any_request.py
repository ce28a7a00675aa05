"""Whatever a client sends, the query APIs answer with well-formed XML and a status that says whose fault it was."""

from ipaddress import IPv4Network
from urllib.parse import urlencode
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from vpc_cni.lab.cloud import Cloud, CloudSettings, Faces, ManualClock, instances, networks
from vpc_cni.lab.cloud.query.dispatcher import Dispatcher
from vpc_cni.lab.cloud.query.request import HttpReply, HttpRequest

CLOUD = Cloud(CloudSettings(verify_signatures=False), clock=ManualClock(), seed=1)
VPC = networks.create_vpc(CLOUD, IPv4Network("10.0.0.0/16"), ipv6=True)
SUBNET = networks.create_subnet(CLOUD, VPC.vpc_id, IPv4Network("10.0.0.0/16"))
NODE = instances.run(CLOUD, instances.simple_request(SUBNET.subnet_id, "m5.large"))
ENI = CLOUD.interfaces_of(NODE.instance_id)[0]
FACES = Faces(CLOUD)
OPERATIONS = {name: face for face in (FACES.ec2, FACES.sts) for name in face.service.operations}
# What makes a call of some operations go further than its first check.
GOOD_STARTS = {
    "CreateNetworkInterface": [("SubnetId", SUBNET.subnet_id)],
    "AttachNetworkInterface": [("NetworkInterfaceId", ENI.eni_id), ("InstanceId", NODE.instance_id)],
    "AssignPrivateIpAddresses": [("NetworkInterfaceId", ENI.eni_id)],
    "UnassignPrivateIpAddresses": [("NetworkInterfaceId", ENI.eni_id)],
    "AssignIpv6Addresses": [("NetworkInterfaceId", ENI.eni_id)],
    "ModifyNetworkInterfaceAttribute": [("NetworkInterfaceId", ENI.eni_id)],
    "CreateTags": [("ResourceId.1", ENI.eni_id)],
    "CreateSubnetCidrReservation": [("SubnetId", SUBNET.subnet_id), ("ReservationType", "prefix")],
    "ModifyInstanceMetadataOptions": [("InstanceId", NODE.instance_id)],
    "RunInstances": [
        ("ImageId", "ami-1"),
        ("InstanceType", "t3.nano"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("SubnetId", SUBNET.subnet_id),
    ],
}
TEXTS = st.one_of(
    st.sampled_from([ENI.eni_id, SUBNET.subnet_id, VPC.vpc_id, NODE.instance_id, "true", "0", "1", "-1", "9" * 30]),
    st.sampled_from(
        ["10.0.1.1", "10.0.1.0/28", "10.0.0.0/8", "2001:db8::1", "::/0", "m5.large", "status", "tag:", "*"]
    ),
    st.text(max_size=20),
)


@st.composite
def forms(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]]]:
    """An operation with some of its parameters, some of them in wrong shapes, and some unknown ones."""
    name = draw(st.sampled_from(sorted(OPERATIONS)))
    known = sorted(OPERATIONS[name].service.operations[name].parameters) or ["DryRun"]
    names = st.builds(
        str.__add__,
        st.one_of(st.sampled_from(known), st.text(max_size=5)),
        st.sampled_from(["", ".1", ".2", ".1.Name", ".1.Value.1", ".1.Key", ".Value", ".x", "."]),
    )
    fields = draw(st.lists(st.tuples(names, TEXTS), max_size=8))
    start = GOOD_STARTS.get(name, []) if draw(st.booleans()) else []
    return name, [*start, ("Action", draw(st.one_of(st.just(name), TEXTS))), ("Version", "1"), *fields]


def serve(face: Dispatcher, fields: list[tuple[str, str]]) -> HttpReply:
    scope = f"{CLOUD.identities.admin.access_key_id}/20231114/us-west-2/{face.service.name}/aws4_request"
    authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"
    body = urlencode(fields).encode(errors="surrogatepass")
    admission = face.admit(HttpRequest("POST", "/", {"authorization": authorization}, body=body))
    return admission if isinstance(admission, HttpReply) else face.perform(admission).reply


@settings(max_examples=300, deadline=None)
@given(forms())
def test_every_request_is_answered_in_form(form: tuple[str, list[tuple[str, str]]]) -> None:
    name, fields = form
    face = OPERATIONS[name]
    reply = serve(face, fields)
    root = ElementTree.fromstring(reply.body)  # noqa: S314 - our own answer
    error = root.find(".//{*}Error")
    assert (error is None) == (reply.status == 200)
    assert reply.status in {200, 400, 403, 412}
    assert error is None or error.findtext("{*}Code")
