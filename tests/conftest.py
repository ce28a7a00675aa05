"""Rules for all tests: which need root, and what happens without it.

Everything below ``tests/functional`` and ``tests/e2e`` changes namespaces, links or nftables; elsewhere a test says so
with ``@pytest.mark.needs_root``. Without root such a test is skipped on a developer's machine, with the reason in the
summary, and fails in CI (``CI=true``): a skipped test that nobody notices proves nothing.

``tools/run-tests.sh`` runs the tests with root side by side, a file at a time, since most of them wait. Those that
measure time are marked ``alone`` and follow one after the other. The file that takes longest begins first.
"""

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no counterexample: properties say what is true, not how fast.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("calm")

_ROOT_FOLDERS = ("functional", "e2e")
_TESTS = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: measures time, so nothing else runs beside it")
    config.addinivalue_line("markers", "slow(seconds): about how long; the longest begin first, side by side")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_TESTS) and item.path.relative_to(_TESTS).parts[0] in _ROOT_FOLDERS:
            item.add_marker(pytest.mark.needs_root)
    if hasattr(config, "workerinput"):
        longest_first(items)


def longest_first(items: list[pytest.Item]) -> None:
    """Sort files by the time that the ``slow`` marks of their tests tell. Order within a file stays."""
    seconds: Counter[Path] = Counter()
    for item in items:
        mark = item.get_closest_marker("slow")
        seconds[item.path] += mark.kwargs.get("seconds", 0) if mark is not None else 0
    items.sort(key=lambda item: -seconds[item.path])


# First, so that a skip mark of a test cannot get ahead of the rule for CI.
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("needs_root") is None:
        return
    reason = item.config.stash.get(_REASON, None)
    if reason is None:
        reason = item.config.stash[_REASON] = why_no_root(os.geteuid())
    if not reason:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"required in CI, but {reason}", pytrace=False)
    pytest.skip(reason)


_REASON = pytest.StashKey[str]()


def why_no_root(effective_uid: int) -> str:
    """Return why network namespaces cannot be made here; empty when they can."""
    if effective_uid != 0:
        return f"this needs root (uid is {effective_uid}): run `sudo make test`, or `make test-fast` for the rest"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)  # noqa: S607
    return "" if tried.returncode == 0 else f"network namespaces are refused here: {tried.stderr.strip()}"
