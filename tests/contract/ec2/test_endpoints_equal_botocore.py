"""Our endpoint rules give what botocore's rule sets give, for every region, partition and variant."""

import gzip
import json
from itertools import product
from pathlib import Path

import botocore
import pytest
from botocore.endpoint_provider import EndpointProvider

from vpc_cni.ec2.endpoints import default_url, partition_of

DATA = Path(botocore.__file__).with_name("data")
PARTITIONS = json.loads((DATA / "partitions.json").read_text())
REGIONS = [
    (partition["id"], region)
    for partition in PARTITIONS["partitions"]
    for region in partition["regions"]
    if not region.endswith("-global")
]


def provider(service: str, version: str) -> EndpointProvider:
    rules = json.loads(gzip.decompress((DATA / service / version / "endpoint-rule-set-1.json.gz").read_bytes()))
    return EndpointProvider(rules, PARTITIONS)


@pytest.mark.parametrize(("service", "version"), [("ec2", "2016-11-15"), ("sts", "2011-06-15")])
def test_every_region(service, version):
    rules = provider(service, version)
    extra = {"UseGlobalEndpoint": False} if service == "sts" else {}
    assert len(REGIONS) > 40
    for (_, region), fips, dual_stack in product(REGIONS, (False, True), (False, True)):
        theirs = rules.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual_stack, **extra).url
        assert default_url(service, region, fips=fips, dual_stack=dual_stack) == theirs


@pytest.mark.parametrize(("partition", "region"), REGIONS)
def test_every_region_is_in_its_partition(partition, region):
    assert partition_of(region).name == partition


def test_a_region_that_nobody_has_heard_of_is_commercial():
    theirs = provider("ec2", "2016-11-15").resolve_endpoint(Region="xx-moon-9", UseFIPS=False, UseDualStack=False).url
    assert default_url("ec2", "xx-moon-9") == theirs
