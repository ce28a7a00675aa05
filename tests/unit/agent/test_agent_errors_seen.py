"""The agent's last errors: kept for people, told to whoever writes Events."""

from vpc_cni.agent.errors_seen import ErrorsSeen
from vpc_cni.errors import AccessDeniedError

DENIED = AccessDeniedError("no", operation="AssumeRoleWithWebIdentity", code="AccessDenied", hint="allow it")


def test_who_listens_late_is_told_of_what_came_before_and_of_each_once() -> None:
    errors, told = ErrorsSeen(), list[Exception]()
    errors.add("AssumeRoleWithWebIdentity", DENIED)
    errors.tell(told.append)
    assert told == [DENIED]
    errors.add("AssumeRoleWithWebIdentity", DENIED)
    assert told == [DENIED, DENIED]
    errors.tell(told.append)
    assert len(told) == 2


def test_the_same_error_in_a_row_is_shown_once() -> None:
    errors = ErrorsSeen()
    for _ in range(3):
        errors.add("AssumeRoleWithWebIdentity", DENIED)
    (shown,) = errors.as_json()
    assert (shown["code"], shown["message"], shown["hint"]) == ("AccessDenied", "no", "allow it")


def test_what_nobody_hears_of_is_bounded() -> None:
    errors, told = ErrorsSeen(), list[Exception]()
    for number in range(100):
        errors.add("look", RuntimeError(str(number)))
    errors.tell(told.append)
    assert [str(each) for each in told] == [str(number) for number in range(80, 100)]
