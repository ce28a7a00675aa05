"""What the statements of IAM policies say of one action on one resource. Pure.

A simulation of what IAM decides. A statement can be about an action for certain, or only under conditions, or for some
resources of a kind: who is not there when the call is made cannot know, so the answer has three values, not two.
Source: IAM user guide, policy evaluation logic; IAM JSON policy elements reference.
"""

import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]
Statement = Mapping[str, Any]

# Stands for any resource of those actions that know none; IAM allows them by a pattern for all only.
ANY_RESOURCE = "*"
# Ids as EC2 makes them, of a sign that no policy has: a pattern that fits both fits every id, by its wildcards.
_IDS = ("\0" * 8, "\0" * 17)
_WILDCARDS = {"*": ".*", "?": "."}


class Verdict(enum.IntEnum):
    """Of several verdicts the least counts."""

    MISSING = 0
    UNCERTAIN = 1
    ALLOWED = 2


@dataclass(frozen=True, slots=True)
class Decision:
    """``reasons`` say why it is not certain, or who denies it; empty where nobody allows it."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()


class _Reach(enum.Enum):
    """To how many resources of a kind a statement applies."""

    NONE = 0
    SOME = 1
    ALL = 2


def listed(value: Any) -> list[Any]:
    """Return what may be one thing or a list of it as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def statements_of(documents: Iterable[Document]) -> list[Statement]:
    return [each for document in documents for each in listed(document.get("Statement"))]


def matches(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern of IAM, in which ``*`` and ``?`` are special and nothing else."""
    expression = "".join(_WILDCARDS.get(each, re.escape(each)) for each in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def overlap(one: str, other: str) -> bool:
    """Whether some text fits two patterns."""
    seen: set[tuple[int, int]] = set()
    todo = [(0, 0)]
    while todo:
        place = todo.pop()
        if place == (len(one), len(other)):
            return True
        if place not in seen:
            seen.add(place)
            todo += _steps(one, other, *place)
    return False


def _steps(one: str, other: str, i: int, j: int) -> Iterator[tuple[int, int]]:
    """Yield how far two patterns may be after one more sign of a text, or with a ``*`` that ends."""
    first, second = one[i : i + 1], other[j : j + 1]
    if first == "*" or (first and second == "*"):
        yield i + 1, j
    if second == "*" or (second and first == "*"):
        yield i, j + 1
    if first and second and "*" not in (first, second) and (first == second or "?" in (first, second)):
        yield i + 1, j + 1


def concerns(statement: Statement, action: str) -> bool:
    """Whether a statement names an action, in whichever case."""
    if "NotAction" in statement:
        return not _names(statement["NotAction"], action)
    return _names(statement.get("Action"), action)


def describe_condition(statement: Statement) -> str:
    """Return a statement's operators and keys, without values; empty for none."""
    found = (f"{operator} {key}" for operator, keys in (statement.get("Condition") or {}).items() for key in keys)
    return ", ".join(found)


def decide(statements: Iterable[Statement], action: str, resource: str) -> Decision:
    """Return what statements together say.

    Args:
        resource: all of a kind, as an ARN that ends with ``*`` for the rest of their ids; or :data:`ANY_RESOURCE`.
    """
    reached = [(each, _reach(each, resource)) for each in statements if concerns(each, action)]
    denials = [pair for pair in reached if pair[0].get("Effect") == "Deny" and pair[1] is not _Reach.NONE]
    if any(_is_certain(*pair) for pair in denials):
        return Decision(Verdict.MISSING, ("denied",))
    grants = [pair for pair in reached if pair[0].get("Effect") == "Allow" and pair[1] is not _Reach.NONE]
    if not grants:
        return Decision(Verdict.MISSING)
    doubts = [f"denied {_limit(each)}" for each, _ in denials]
    if not any(_is_certain(*pair) for pair in grants):
        doubts += [_limit(each) for each, _ in grants]
    return Decision(Verdict.UNCERTAIN, tuple(dict.fromkeys(doubts))) if doubts else Decision(Verdict.ALLOWED)


def both(first: Decision, second: Decision) -> Decision:
    """Return what is left when two have to agree."""
    if first.verdict is not second.verdict:
        return min(first, second, key=lambda each: each.verdict)
    return Decision(first.verdict, tuple(dict.fromkeys((*first.reasons, *second.reasons))))


def name_decisions(decisions: Mapping[str, Decision], verdict: Verdict) -> str:
    """Return the actions with a verdict and their reasons, for people; empty for none."""
    found = ((action, "; ".join(each.reasons)) for action, each in decisions.items() if each.verdict is verdict)
    return ", ".join(f"{action} ({reasons})" if reasons else action for action, reasons in found)


def _names(patterns: Any, action: str) -> bool:
    return any(matches(str(each).lower(), action.lower()) for each in listed(patterns))


def _is_certain(statement: Statement, reach: _Reach) -> bool:
    return reach is _Reach.ALL and not statement.get("Condition")


def _limit(statement: Statement) -> str:
    condition, name = describe_condition(statement), statement.get("Sid")
    limit = f"under a condition ({condition})" if condition else "for some resources only"
    return f"{limit} by statement {name}" if name else limit


def _reach(statement: Statement, resource: str) -> _Reach:
    if "NotResource" in statement:
        excepted = _widest(statement["NotResource"], resource)
        return {_Reach.NONE: _Reach.ALL, _Reach.SOME: _Reach.SOME, _Reach.ALL: _Reach.NONE}[excepted]
    return _widest(statement.get("Resource"), resource)


def _widest(patterns: Any, resource: str) -> _Reach:
    found = [_covers(str(each), resource) for each in listed(patterns)]
    return max(found, key=lambda each: each.value, default=_Reach.NONE)


def _covers(pattern: str, resource: str) -> _Reach:
    """Say how much of what ``resource`` stands for fits a pattern."""
    # A variable has its value at the call only.
    wide = re.sub(r"\$\{[^}]*\}", "*", pattern)
    if resource == ANY_RESOURCE:
        return _Reach.ALL if matches(pattern, resource) else _Reach.SOME if matches(wide, resource) else _Reach.NONE
    if all(matches(pattern, resource.removesuffix("*") + each) for each in _IDS):
        return _Reach.ALL
    return _Reach.SOME if overlap(wide, resource) else _Reach.NONE
