"""The lab's cloud: one in-memory account of EC2, with faces for EC2, STS and instance metadata.

Change it with the modules of each resource family, watch it by events, break it by faults:

    cloud = Cloud(CloudSettings(region="us-west-2"), seed=7)
    unsubscribe = cloud.subscribe(fabric.on_event)           # typed events, see ``events``
    vpc = networks.create_vpc(cloud, IPv4Network("10.0.0.0/16"))
    subnet = networks.create_subnet(cloud, vpc.vpc_id, IPv4Network("10.0.0.0/24"))
    instance = instances.run(cloud, instances.simple_request(subnet.subnet_id, "m5.large", role_name="node"))
    cloud.interfaces_of(instance.instance_id)[0].primary     # and .mac, .networks() ...
    cloud.faults.add(SubnetFull(subnet.subnet_id))

Serve it from an event loop, on sockets opened in whatever network namespace; both listeners share the state:

    faces = Faces(cloud)                                     # metadata knows its instance by the peer's address
    async with serving(api_application(faces), [api_socket]), serving(
        metadata_application(faces.metadata), [metadata_socket]
    ):
        ...

Everything runs on one thread. ``running.RunningCloud`` has a thread of its own for tests.
"""

from vpc_cni.lab.cloud import addresses, instances, interfaces, networks, tags
from vpc_cni.lab.cloud.clock import Clock, ManualClock, system_clock
from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.errors import CloudApiError
from vpc_cni.lab.cloud.faces import Faces
from vpc_cni.lab.cloud.faults import (
    Delay,
    Denial,
    Fault,
    Faults,
    InjectedError,
    LostAnswer,
    MetadataLag,
    SubnetFull,
    Throttle,
)
from vpc_cni.lab.cloud.http.applications import api_application, metadata_application
from vpc_cni.lab.cloud.http.server import listener, serving
from vpc_cni.lab.cloud.identity.roles import Credentials, Role, Trust
from vpc_cni.lab.cloud.settings import AWS_READ_BUCKET, AWS_WRITE_BUCKET, Bucket, CloudSettings

__all__ = [
    "AWS_READ_BUCKET",
    "AWS_WRITE_BUCKET",
    "Bucket",
    "Clock",
    "Cloud",
    "CloudApiError",
    "CloudSettings",
    "Credentials",
    "Delay",
    "Denial",
    "Faces",
    "Fault",
    "Faults",
    "InjectedError",
    "LostAnswer",
    "ManualClock",
    "MetadataLag",
    "Role",
    "SubnetFull",
    "Throttle",
    "Trust",
    "addresses",
    "api_application",
    "instances",
    "interfaces",
    "listener",
    "metadata_application",
    "networks",
    "serving",
    "system_clock",
    "tags",
]
