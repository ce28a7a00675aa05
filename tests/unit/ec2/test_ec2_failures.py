"""EC2 error codes to exceptions, shortages and hints."""

import pytest

from vpc_cni.ec2.failures import is_outcome_unknown, missing_interface_ids, shortage_of, translate
from vpc_cni.errors import AccessDeniedError, CloudError, NotFoundError, Shortage, ThrottledError


def error(code: str, message: str = "text", status: int = 400, operation: str = "CreateNetworkInterface") -> CloudError:
    return translate(operation, "ec2", code, message, status)


@pytest.mark.parametrize(
    ("code", "status", "kind", "retryable"),
    [
        ("RequestLimitExceeded", 503, ThrottledError, True),
        ("ThrottlingException", 400, ThrottledError, True),
        ("", 429, ThrottledError, True),
        ("UnauthorizedOperation", 403, AccessDeniedError, False),
        ("AccessDenied", 403, AccessDeniedError, False),
        ("AuthFailure", 401, AccessDeniedError, False),
        ("ExpiredToken", 403, AccessDeniedError, False),
        ("SignatureDoesNotMatch", 403, AccessDeniedError, False),
        ("InvalidSubnetID.NotFound", 400, NotFoundError, False),
        ("InternalError", 500, CloudError, True),
        ("Unavailable", 503, CloudError, True),
        ("", 502, CloudError, True),
        ("InvalidParameterValue", 400, CloudError, False),
        ("InsufficientFreeAddressesInSubnet", 400, CloudError, False),
    ],
)
def test_codes_become_the_exception_that_says_whose_fault_it_is(code, status, kind, retryable):
    found = error(code, status=status)
    assert type(found) is kind
    assert found.retryable is retryable
    assert found.operation == "CreateNetworkInterface"


def test_a_denial_names_the_missing_permission():
    denied = error("UnauthorizedOperation", operation="AssignPrivateIpAddresses")
    assert "ec2:AssignPrivateIpAddresses" in denied.hint


def test_the_encoded_detail_of_a_denial_is_cut():
    assert len(str(error("UnauthorizedOperation", message="Encoded: " + "x" * 5000))) < 700


@pytest.mark.parametrize(
    ("code", "shortage"),
    [
        ("InsufficientFreeAddressesInSubnet", Shortage.SUBNET_FULL),
        ("InsufficientCidrBlocks", Shortage.SUBNET_FULL),
        ("AttachmentLimitExceeded", Shortage.ENI_LIMIT),
        ("NetworkInterfaceLimitExceeded", Shortage.ENI_LIMIT),
        ("PrivateIpAddressLimitExceeded", Shortage.ENI_LIMIT),
        ("RequestLimitExceeded", Shortage.THROTTLED),
        ("UnauthorizedOperation", Shortage.DENIED),
        ("InternalError", Shortage.EC2_FAILED),
        ("SomethingNew", Shortage.EC2_FAILED),
    ],
)
def test_growth_failures_have_a_reason(code, shortage):
    assert shortage_of(error(code)) is shortage


def test_the_reason_does_not_depend_on_the_text():
    assert shortage_of(error("InternalError", "InsufficientFreeAddressesInSubnet")) is Shortage.EC2_FAILED


@pytest.mark.parametrize(
    ("message", "ids"),
    [
        ("The networkInterface ID 'eni-0123456789abcdef0' does not exist", {"eni-0123456789abcdef0"}),
        ("The networkInterface IDs 'eni-01234567, eni-89abcdef' do not exist", {"eni-01234567", "eni-89abcdef"}),
        ("The networkInterface ID does not exist", set()),
    ],
)
def test_missing_interfaces_are_read_from_the_message(message, ids):
    missing = error("InvalidNetworkInterfaceID.NotFound", message)
    assert isinstance(missing, NotFoundError)
    assert missing_interface_ids(missing) == ids


def test_ids_in_the_message_of_another_code_mean_nothing():
    other = error("InvalidSubnetID.NotFound", "eni-0123456789abcdef0 is in no subnet")
    assert isinstance(other, NotFoundError)
    assert missing_interface_ids(other) == frozenset()


def test_a_broken_service_leaves_the_outcome_open_and_a_refusal_does_not():
    assert is_outcome_unknown(error("InternalError", status=500))
    assert not is_outcome_unknown(error("InvalidParameterValue"))
