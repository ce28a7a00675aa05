"""The lab's cloud: one in-memory account of EC2, with faces for EC2, STS and instance metadata.

cloud = Cloud(CloudSettings(region="us-west-2"), seed=7)
unsubscribe = cloud.subscribe(fabric.on_event)           # typed events, see ``events``
vpc = networks.create_vpc(cloud, IPv4Network("10.0.0.0/16"))
subnet = networks.create_subnet(cloud, vpc.vpc_id, IPv4Network("10.0.0.0/24"))
instance = instances.run(cloud, instances.simple_request(subnet.subnet_id, "m5.large"))
cloud.faults.add(SubnetFull(subnet.subnet_id))
"""

from vpc_cni.lab.cloud import addresses, instances, interfaces, networks, tags
from vpc_cni.lab.cloud.clock import Clock, ManualClock, system_clock
from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.errors import CloudApiError
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
from vpc_cni.lab.cloud.settings import AWS_READ_BUCKET, AWS_WRITE_BUCKET, Bucket, CloudSettings

__all__ = [
    "AWS_READ_BUCKET",
    "AWS_WRITE_BUCKET",
    "Bucket",
    "Clock",
    "Cloud",
    "CloudApiError",
    "CloudSettings",
    "Delay",
    "Denial",
    "Fault",
    "Faults",
    "InjectedError",
    "LostAnswer",
    "ManualClock",
    "MetadataLag",
    "SubnetFull",
    "Throttle",
    "addresses",
    "instances",
    "interfaces",
    "networks",
    "system_clock",
    "tags",
]
