"""What the clients cost the agent, whose whole budget is 45 MiB: measured in a process of its own."""

import json
import subprocess
import sys

import pytest

# urllib3 and the XML parser: 16 MiB here. The rest is room for another libc, not for another library.
LIMIT_MIB = 19

# Modules that load service models or are a second HTTP stack; a boto3 EC2 client costs 35 MiB more.
HEAVY = ("boto3", "botocore", "requests", "httpx")

PROGRAM = """
import json, sys

def rss_kib():
    with open("/proc/self/smaps_rollup") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("Rss:"))

before = rss_kib()
from vpc_cni.ec2 import Timing, connect_ec2, connect_metadata

environ, timing = json.loads(sys.argv[1]), Timing()
metadata = connect_metadata(environ, timing=timing)
ec2 = connect_ec2(environ, region="us-west-2", metadata=metadata, http_timeout_seconds=5.0, timing=timing).client
ec2.describe_subnets(ids=["subnet-1"])
print(json.dumps({"mib": (rss_kib() - before) / 1024, "modules": sorted(sys.modules)}))
"""


@pytest.fixture
def footprint(server, say, tmp_path):
    token = tmp_path / "token"
    token.write_text("jwt")
    keys = "<AccessKeyId>a</AccessKeyId><SecretAccessKey>b</SecretAccessKey><SessionToken>c</SessionToken>"
    server.steps = [say.answer(200, f"<R><Credentials>{keys}</Credentials></R>")]
    environ = {
        "AWS_EC2_ENDPOINT": server.url,
        "AWS_ENDPOINT_URL_STS": server.url,
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/aws-node",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
    }
    command = [sys.executable, "-c", PROGRAM, json.dumps(environ)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    assert server.actions() == ["AssumeRoleWithWebIdentity", "DescribeSubnets"]
    return json.loads(found.stdout)


def test_import_and_a_signed_call_stay_small(footprint, record_property):
    record_property("mib_over_bare_python", round(footprint["mib"], 1))
    print(f"vpc_cni.ec2 and one signed call: {footprint['mib']:.1f} MiB over bare Python")  # noqa: T201
    assert footprint["mib"] < LIMIT_MIB


def test_nothing_heavy_is_imported(footprint):
    assert "urllib3" in footprint["modules"]
    assert [name for name in HEAVY if name in footprint["modules"]] == []
