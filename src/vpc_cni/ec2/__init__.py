"""EC2, instance metadata and the credentials to reach them, for the node agent.

Synchronous clients for worker threads. Signing is botocore's, transport is urllib3; no botocore session, client or
service model is ever loaded: they cost more memory than the whole agent may use.
"""

from vpc_cni.ec2.budget import Budget, CallKind
from vpc_cni.ec2.client import Ec2Client
from vpc_cni.ec2.connect import Ec2Access, connect_ec2, connect_metadata
from vpc_cni.ec2.failures import is_outcome_unknown, shortage_of
from vpc_cni.ec2.metadata import InstanceIdentity, MetadataClient
from vpc_cni.ec2.observer import CallObserver, SilentObserver
from vpc_cni.ec2.results import Attachment, Instance, InstanceType, NetworkCard, NetworkInterface, Subnet
from vpc_cni.ec2.timing import Timing

__all__ = [
    "Attachment",
    "Budget",
    "CallKind",
    "CallObserver",
    "Ec2Access",
    "Ec2Client",
    "Instance",
    "InstanceIdentity",
    "InstanceType",
    "MetadataClient",
    "NetworkCard",
    "NetworkInterface",
    "SilentObserver",
    "Subnet",
    "Timing",
    "connect_ec2",
    "connect_metadata",
    "is_outcome_unknown",
    "shortage_of",
]
