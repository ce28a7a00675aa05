"""Endpoint overrides and their validation. Regional names are compared with botocore in the contract tests."""

import pytest

from vpc_cni.ec2.endpoints import ec2_endpoint, sts_endpoint
from vpc_cni.ec2.metadata import metadata_url
from vpc_cni.errors import ConfigurationError


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "https://ec2.eu-west-1.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "https://ec2-fips.eu-west-1.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "false"}, "https://ec2.eu-west-1.amazonaws.com"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "True"}, "https://ec2.eu-west-1.api.aws"),
        ({"AWS_EC2_ENDPOINT": "http://127.0.0.1:4566/"}, "http://127.0.0.1:4566"),
        (
            {"AWS_EC2_ENDPOINT": "vpce-1.ec2.eu-west-1.vpce.amazonaws.com"},
            "https://vpce-1.ec2.eu-west-1.vpce.amazonaws.com",
        ),
        ({"AWS_ENDPOINT_URL": "https://all"}, "https://all"),
        ({"AWS_ENDPOINT_URL": "https://all", "AWS_ENDPOINT_URL_EC2": "https://one"}, "https://one"),
        ({"AWS_ENDPOINT_URL_EC2": "https://one", "AWS_EC2_ENDPOINT": "https://own"}, "https://own"),
        ({"AWS_EC2_ENDPOINT": ""}, "https://ec2.eu-west-1.amazonaws.com"),
    ],
)
def test_the_environment_chooses_the_ec2_endpoint(environ, url):
    assert ec2_endpoint("eu-west-1", environ).url == url


def test_the_ec2_override_is_not_for_sts():
    environ = {"AWS_EC2_ENDPOINT": "https://own"}
    assert sts_endpoint("cn-north-1", environ).url == "https://sts.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize("value", ["ftp://host", "https://", "http://host/?a=b", "https://host#x"])
def test_an_override_that_is_no_endpoint_is_refused(value):
    with pytest.raises(ConfigurationError, match="AWS_EC2_ENDPOINT"):
        ec2_endpoint("eu-west-1", {"AWS_EC2_ENDPOINT": value})


@pytest.mark.parametrize("region", ["", "eu west", "evil.com/", "a" * 80])
def test_a_region_that_is_none_is_refused(region):
    with pytest.raises(ConfigurationError, match="AWS_REGION"):
        ec2_endpoint(region, {})


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://169.254.169.254"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"}, "http://[fd00:ec2::254]"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1338/"}, "http://127.0.0.1:1338"),
    ],
)
def test_the_environment_chooses_the_metadata_endpoint(environ, url):
    assert metadata_url(environ) == url


def test_a_metadata_override_that_is_no_url_is_refused():
    with pytest.raises(ConfigurationError, match="http://"):
        metadata_url({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "169.254.169.254"})
