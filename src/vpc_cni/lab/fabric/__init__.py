"""Packets of the lab: a router that forwards only what the VPC would, and an internet that sees mapped addresses."""

from vpc_cni.lab.fabric.fabric import INTERNET_HOST, Fabric
from vpc_cni.lab.fabric.model import (
    CONTAINER_CREDENTIALS_ADDRESS,
    ENDPOINT_ADDRESS,
    METADATA_ADDRESS,
    EniPort,
    FabricCounters,
    FabricOptions,
    PortFault,
)
from vpc_cni.lab.fabric.router import configure_host

__all__ = [
    "CONTAINER_CREDENTIALS_ADDRESS",
    "ENDPOINT_ADDRESS",
    "INTERNET_HOST",
    "METADATA_ADDRESS",
    "EniPort",
    "Fabric",
    "FabricCounters",
    "FabricOptions",
    "PortFault",
    "configure_host",
]
