"""Which measurement gives which figures, and in which lab it runs."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import rounds, solo
from bench.addons.measuring import measure_addons
from bench.contender import Contender
from bench.figures import BY_NAME, Measured
from bench.node import node_target
from bench.peer import peer_target
from bench.rounds import Sides, Sizes
from bench.worlds import ADDRESSES, LARGE_TYPE, full_lab
from vpc_cni.errors import VpcCniError

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Paired:
    """A measurement of both sides."""

    title: str
    figures: tuple[str, ...]
    measure: Callable[[Sides, Sizes], list[Measured]]


@dataclass(frozen=True, slots=True)
class Solo:
    """A measurement of our side in a lab of its own."""

    title: str
    figures: tuple[str, ...]
    measure: Callable[[Path], list[Measured]]


PAIRED: tuple[Paired, ...] = (
    Paired("one at a time", ("add_p50_w1", "add_p99_w1", "del_p50_w1"), rounds.measure_single),
    Paired("8 ADDs at a time", ("add_p50_w8",), rounds.measure_wide),
    Paired("links after DEL", ("settled_p99_ms",), rounds.measure_settled),
    Paired("links after DEL in churn", ("settled_p99_ms_churn",), rounds.measure_settled_churn),
    Paired("churn", ("churn_w8", "cpu_pair"), rounds.measure_churn),
    Paired("a burst of 110", ("burst_110_ms",), rounds.measure_burst),
    Paired("700 pods present", ("add_p50_700_vs_0",), rounds.measure_loaded),
)
SOLO: tuple[Solo, ...] = (
    Solo(
        "first address",
        (
            "first_address_extra_ms",
            "first_address_calls",
            "first_address_new_eni_extra_ms",
            "first_address_new_eni_calls",
        ),
        solo.measure_first_address,
    ),
    Solo("memory with 1,000 pods", ("rss_1000_mib",), solo.measure_memory),
    Solo("default cooldown", ("steady_pairs_s_cooldown_30",), solo.measure_steady),
    Solo(
        "the add-on service",
        ("addons_describe_p99_ms", "addons_describe_p99_dead_vs_none", "addons_update_start_ms"),
        measure_addons,
    ),
)


@dataclass(slots=True)
class Results:
    """What a run came to; ``failures`` has one line for each measurement that did not work."""

    measured: list[Measured] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def ordered(self) -> list[Measured]:
        """Return the figures in the order of the table."""
        names = list(BY_NAME)
        return sorted(self.measured, key=lambda each: names.index(each.name))


def run_plan(wanted: frozenset[str], sizes: Sizes, folder: Path, progress: Progress) -> Results:
    """Run every measurement that gives a wanted figure.

    A measurement that fails is noted and the next one goes on, with new labs and contenders.

    Args:
        folder: empty; whatever is made below it may be removed afterwards.
    """
    results = Results()
    _run_paired([each for each in PAIRED if wanted & set(each.figures)], sizes, folder, progress, results)
    for number, each in enumerate(SOLO):
        if not wanted & set(each.figures):
            continue
        with _noting(each.title, progress, results):
            results.measured += each.measure(folder / f"solo-{number}")
    results.measured = [each for each in results.measured if each.name in wanted]
    return results


def _run_paired(todo: Sequence[Paired], sizes: Sizes, folder: Path, progress: Progress, results: Results) -> None:
    left = list(todo)
    for attempt in range(len(todo)):
        if not left:
            return
        with _noting("a lab with two sides", progress, results), _open_sides(folder / f"paired-{attempt}") as sides:
            while left:
                each = left.pop(0)
                with _noting(each.title, progress, results) as noted:
                    results.measured += each.measure(sides, sizes)
                if noted.failed:
                    break


@contextlib.contextmanager
def _open_sides(folder: Path) -> Iterator[Sides]:
    with full_lab(LARGE_TYPE, ADDRESSES, {"IP_COOLDOWN_PERIOD": "0"}) as lab:
        ours = node_target(lab.nodes[0])
        peer_folder = folder / "peer"
        peer = peer_target(str(ours.config["cniVersion"]), peer_folder)
        with Contender(ours, folder / "ours") as our_side, Contender(peer, peer_folder) as peer_side:
            sides = Sides(our_side, peer_side)
            rounds.warm_up(our_side)
            rounds.warm_up(peer_side)
            yield sides


@dataclass(slots=True)
class _Noted:
    failed: bool = False


@contextlib.contextmanager
def _noting(title: str, progress: Progress, results: Results) -> Iterator[_Noted]:
    """Say what begins and how long it took; turn an error into a line of the results."""
    noted = _Noted()
    started = time.monotonic()
    try:
        yield noted
    except VpcCniError as err:
        noted.failed = True
        results.failures.append(f"{title}: {err}")
        progress(f"{title}: failed: {err}")
    else:
        progress(f"{title}: {time.monotonic() - started:.1f} s")
