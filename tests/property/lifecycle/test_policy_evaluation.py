"""Verdicts of policies are sound: what they foretell holds for every resource and every outcome of conditions."""

from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from vpc_cni.lifecycle.preflight.evaluation import Verdict, concerns, decide, listed, matches, overlap

ACTION = "ec2:CreateTags"
KIND = "arn:aws:ec2:r:1:x/i-"
# Real ids, of both lengths.
IDS = [KIND + each for each in ("0" * 8, "0123abcd", "f" * 17, "a" * 16 + "b")]
PATTERNS = st.text(st.sampled_from("ab*?"), max_size=4)
TEXTS = ["".join(each) for length in range(9) for each in product("ab", repeat=length)]
RESOURCES = st.lists(
    st.sampled_from(
        [
            *("*", "arn:aws:ec2:*:*:*", "arn:*/i-*", f"{KIND}*", "*b", f"{KIND}0*", f"{KIND}a*b"),
            *(f"{KIND}{'?' * 8}", f"{KIND}{'f' * 17}", "arn:aws:ec2:r:1:y/*", "arn:aws:s3:::*", "arn:aws:ec2:r:2:*"),
        ]
    ),
    min_size=1,
    max_size=2,
)
ACTIONS = st.lists(st.sampled_from([ACTION, "EC2:create*", "*", "ec2:Describe*", "iam:*"]), min_size=1, max_size=2)


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Effect": draw(st.sampled_from(["Allow", "Deny"])),
        draw(st.sampled_from(["Action", "NotAction"])): draw(ACTIONS),
        draw(st.sampled_from(["Resource", "NotResource"])): draw(RESOURCES),
    }
    return found | draw(st.sampled_from([{}, {"Condition": {"Bool": {"aws:SecureTransport": "true"}}}]))


def is_allowed(policy: list[dict[str, Any]], resource: str, met: tuple[bool, ...]) -> bool:
    """Decide one call, of which all is known, as IAM does."""
    effects = {
        each["Effect"]
        for each, holds in zip(policy, met, strict=True)
        if concerns(each, ACTION) and _is_about(each, resource) and (holds or "Condition" not in each)
    }
    return effects == {"Allow"}


def _is_about(statement: dict[str, Any], resource: str) -> bool:
    named = any(matches(each, resource) for each in listed(statement.get("Resource", statement.get("NotResource"))))
    return named is ("Resource" in statement)


@given(PATTERNS, PATTERNS)
def test_patterns_overlap_when_one_text_fits_both(one: str, other: str) -> None:
    assert overlap(one, other) is any(matches(one, each) and matches(other, each) for each in TEXTS)


@settings(max_examples=400)
@given(st.lists(statements(), max_size=4))
def test_what_is_foretold_is_what_every_call_gets(policy: list[dict[str, Any]]) -> None:
    decision = decide(policy, ACTION, f"{KIND}*")
    outcomes = {
        is_allowed(policy, resource, met) for resource in IDS for met in product([True, False], repeat=len(policy))
    }
    if decision.verdict is Verdict.ALLOWED:
        assert outcomes == {True}
    if decision.verdict is Verdict.MISSING:
        # A denial of all counts; so does that nobody grants it.
        assert outcomes == {False}
    if len(outcomes) > 1:
        assert decision.verdict is Verdict.UNCERTAIN
        assert decision.reasons
