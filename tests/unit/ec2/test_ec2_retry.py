"""Which failures are tried again, and when."""

import pytest

from vpc_cni.ec2.failures import MALFORMED, OUTCOME_UNKNOWN, OWN_BUDGET, STOPPING, UNREACHABLE, translate
from vpc_cni.ec2.retry import Repeat, RetryPolicy, is_repeatable, next_delay
from vpc_cni.errors import CloudError

POLICY = RetryPolicy(attempts=4, base_seconds=1.0, throttled_base_seconds=3.0, ceiling_seconds=5.0)


def failure(code: str, status: int = 400) -> CloudError:
    if code in (UNREACHABLE, OUTCOME_UNKNOWN, MALFORMED, OWN_BUDGET, STOPPING):
        return CloudError("failed", operation="CreateTags", code=code)
    return translate("CreateTags", "ec2", code, "text", status)


@pytest.mark.parametrize(
    ("code", "status", "when_safe", "when_it_doubles"),
    [
        ("RequestLimitExceeded", 503, True, True),
        ("Throttling", 400, True, True),
        (UNREACHABLE, 0, True, True),
        (OUTCOME_UNKNOWN, 0, True, False),
        (MALFORMED, 200, True, False),
        ("InternalError", 500, True, False),
        ("Unavailable", 503, True, False),
        ("", 502, True, False),
        ("UnauthorizedOperation", 403, False, False),
        ("InsufficientFreeAddressesInSubnet", 400, False, False),
        ("InvalidNetworkInterfaceID.NotFound", 400, False, False),
        ("InvalidParameterValue", 400, False, False),
        (OWN_BUDGET, 0, False, False),
        (STOPPING, 0, False, False),
    ],
)
def test_what_may_be_repeated(code, status, when_safe, when_it_doubles):
    assert is_repeatable(failure(code, status), Repeat.SAFE) is when_safe
    assert is_repeatable(failure(code, status), Repeat.DOUBLES) is when_it_doubles


def test_a_settling_code_is_repeated_even_when_a_repeat_would_double():
    missing = failure("InvalidNetworkInterfaceID.NotFound")
    assert is_repeatable(missing, Repeat.DOUBLES, frozenset({missing.code}))


@pytest.mark.parametrize(
    ("attempt", "code", "delay"),
    [
        (1, "InternalError", 0.5),
        (2, "InternalError", 1.0),
        (3, "InternalError", 2.0),
        (1, "RequestLimitExceeded", 1.5),
        (2, "RequestLimitExceeded", 2.5),  # 6 seconds, cut to the ceiling of 5
    ],
)
def test_the_ceiling_doubles_and_chance_chooses_below_it(attempt, code, delay):
    error = failure(code, 503)
    assert next_delay(POLICY, error, attempt=attempt, chance=0.5, remaining_seconds=60) == delay


def test_it_gives_up_after_the_last_attempt():
    error = failure("InternalError", 500)
    assert next_delay(POLICY, error, attempt=3, chance=0.0, remaining_seconds=60) == 0.0
    assert next_delay(POLICY, error, attempt=4, chance=0.0, remaining_seconds=60) is None


def test_it_gives_up_when_the_delay_would_pass_the_deadline():
    error = failure("InternalError", 500)
    assert next_delay(POLICY, error, attempt=1, chance=0.5, remaining_seconds=0.4) is None
