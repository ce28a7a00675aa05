"""Values of preflight checks. Pure."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Level(enum.StrEnum):
    """``failed`` stops a change, ``warning`` does not; ``skipped`` could not be looked at, or does not apply."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and what to do about it; ``remedy`` is empty where nothing is."""

    check: str
    level: Level
    detail: str
    remedy: str = ""


def ok(check: str, detail: str) -> Finding:
    return Finding(check, Level.OK, detail)


def warning(check: str, detail: str, remedy: str) -> Finding:
    return Finding(check, Level.WARNING, detail, remedy)


def failed(check: str, detail: str, remedy: str) -> Finding:
    return Finding(check, Level.FAILED, detail, remedy)


def skipped(check: str, detail: str, remedy: str = "") -> Finding:
    return Finding(check, Level.SKIPPED, detail, remedy)


def has_failed(findings: Iterable[Finding]) -> bool:
    return any(each.level is Level.FAILED for each in findings)
