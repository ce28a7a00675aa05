"""The measurements that run both sides in turn, A B A B, so that whatever else the machine does meets both.

Each makes and removes its own sandboxes outside the timed parts and leaves nothing attached.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from bench.contender import Contender
from bench.figures import Measured, compared
from bench.stats import median, percentile

WORKERS = 8
BURST = 110
PRESENT = 700
_WARM_UP = 5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Args:
        rounds: of A B.
        calls: in a round, one at a time.
        wide_calls: in a round, 8 at a time.
        settled: pods in a round whose links are waited for one by one.
        pairs: in a round of churn; many, so that the wait for the last link is a small part.
        watched_pairs: in a round of churn in which each link is watched.
        loaded_rounds: with 700 pods present, and with none.
        loaded_calls: in such a round; at most 35, since the node has 735 addresses.
    """

    rounds: int = 6
    calls: int = 50
    wide_calls: int = 80
    settled: int = 15
    pairs: int = 600
    watched_pairs: int = 240
    loaded_rounds: int = 5
    loaded_calls: int = 30


QUICK = Sizes(rounds=2, calls=25, wide_calls=40, settled=8, pairs=200, watched_pairs=80, loaded_rounds=2)


@dataclass(frozen=True, slots=True)
class Sides:
    """The two contenders."""

    ours: Contender
    peer: Contender

    def alternate(self, rounds: int, measure: Callable[[Contender], T]) -> tuple[list[T], list[T]]:
        """Measure ours, the peer, ours, the peer; return what came out for each."""
        ours: list[T] = []
        peer: list[T] = []
        for _ in range(rounds):
            ours.append(measure(self.ours))
            peer.append(measure(self.peer))
        return ours, peer


def warm_up(contender: Contender) -> None:
    """Run a few pairs that nobody counts, and see that a packet reaches the pod."""
    contender.prepare(_WARM_UP)
    contender.add(_WARM_UP)
    contender.check_reachable()
    contender.clear()


def measure_single(sides: Sides, sizes: Sizes) -> list[Measured]:
    """One call at a time: ADD and DEL."""

    def one_round(contender: Contender) -> tuple[list[float], list[float]]:
        contender.prepare(sizes.calls)
        added, deleted = contender.add(sizes.calls), contender.delete(sizes.calls)
        contender.clear()
        return added, deleted

    ours, peer = sides.alternate(sizes.rounds, one_round)
    our_add, peer_add = _pool(each[0] for each in ours), _pool(each[0] for each in peer)
    our_del, peer_del = _pool(each[1] for each in ours), _pool(each[1] for each in peer)
    note = f"{len(our_add)} calls a side"
    return [
        compared("add_p50_w1", 1e3 * median(our_add), 1e3 * median(peer_add), note),
        compared("add_p99_w1", 1e3 * percentile(our_add, 99), 1e3 * percentile(peer_add, 99), note),
        compared("del_p50_w1", 1e3 * median(our_del), 1e3 * median(peer_del), note),
    ]


def measure_wide(sides: Sides, sizes: Sizes) -> list[Measured]:
    """Eight ADDs at a time."""

    def one_round(contender: Contender) -> list[float]:
        contender.prepare(sizes.wide_calls)
        added = contender.add(sizes.wide_calls, WORKERS)
        contender.clear()
        return added

    ours, peer = map(_pool, sides.alternate(sizes.rounds, one_round))
    return [compared("add_p50_w8", 1e3 * median(ours), 1e3 * median(peer), f"{len(ours)} calls a side")]


def measure_settled(sides: Sides, sizes: Sizes) -> list[Measured]:
    """How long a link outlives DEL, when nothing else happens."""

    def one_round(contender: Contender) -> list[float]:
        contender.prepare(sizes.settled)
        settled = [contender.settle_one() for _ in range(sizes.settled)]
        contender.clear()
        return settled

    ours, peer = map(_pool, sides.alternate(sizes.rounds, one_round))
    # No ratio: the peer deletes the link inside DEL, so its figure is the time of a look.
    note = f"{len(ours)} pods a side"
    return [Measured("settled_p99_ms", 1e3 * percentile(ours, 99), 1e3 * percentile(peer, 99), None, note)]


def measure_settled_churn(sides: Sides, sizes: Sizes) -> list[Measured]:
    """How long links outlive DEL while others come and go."""

    def one_round(contender: Contender) -> list[float]:
        contender.prepare(sizes.watched_pairs)
        settled = contender.churn(sizes.watched_pairs, WORKERS, watch=True).settled
        contender.clear()
        return settled

    ours, peer = map(_pool, sides.alternate(max(1, sizes.rounds // 2), one_round))
    note = f"{len(ours)} pods a side"
    return [Measured("settled_p99_ms_churn", 1e3 * percentile(ours, 99), 1e3 * percentile(peer, 99), None, note)]


def measure_churn(sides: Sides, sizes: Sizes) -> list[Measured]:
    """Pairs a second, and what they cost."""

    def one_round(contender: Contender) -> tuple[int, float, float]:
        contender.prepare(sizes.pairs)
        before = contender.cpu_seconds()
        churn = contender.churn(sizes.pairs, WORKERS)
        spent = contender.cpu_seconds() - before
        contender.clear()
        return churn.pairs, churn.seconds, spent

    def totals(rounds: Iterable[tuple[int, float, float]]) -> tuple[float, float]:
        pairs, seconds, spent = map(sum, zip(*rounds, strict=True))
        return pairs / seconds, spent / pairs

    rounds = max(1, sizes.rounds // 2)
    (our_rate, our_cpu), (peer_rate, peer_cpu) = map(totals, sides.alternate(rounds, one_round))
    note = f"{rounds * sizes.pairs} pairs a side"
    return [compared("churn_w8", our_rate, peer_rate, note), compared("cpu_pair", 1e3 * our_cpu, 1e3 * peer_cpu, note)]


def measure_burst(sides: Sides, sizes: Sizes) -> list[Measured]:
    """As many ADDs at once as a small node has pods."""

    def one_round(contender: Contender) -> float:
        contender.prepare(BURST)
        seconds = contender.burst(BURST)
        contender.clear()
        return seconds

    rounds = max(1, sizes.rounds // 2)
    ours, peer = map(median, sides.alternate(rounds, one_round))
    return [compared("burst_110_ms", 1e3 * ours, 1e3 * peer, f"median of {rounds}")]


def measure_loaded(sides: Sides, sizes: Sizes) -> list[Measured]:
    """ADD with 700 pods on the node, and with none. Ours only."""
    ours = sides.ours
    empty = _small_rounds(ours, sizes)
    ours.prepare(PRESENT)
    ours.add(PRESENT, WORKERS)
    loaded = _small_rounds(ours, sizes)
    ours.clear()
    # The second half of the runs with none comes after, so that a drift of the machine meets both.
    empty += _small_rounds(ours, sizes)
    at_700, at_0 = median(loaded), median(empty)
    note = f"{1e3 * at_0:.2f} ms with none"
    return [Measured("add_p50_700_vs_0", 1e3 * at_700, None, at_700 / at_0, note)]


def _small_rounds(contender: Contender, sizes: Sizes) -> list[float]:
    """Time ADDs in groups; after each group its pods go again and their links have gone."""
    seconds: list[float] = []
    for _ in range(sizes.loaded_rounds):
        contender.prepare(sizes.loaded_calls)
        seconds += contender.add(sizes.loaded_calls)
        contender.delete(sizes.loaded_calls)
        contender.wait_links_gone()
    return seconds


def _pool(rounds: Iterable[list[float]]) -> list[float]:
    return [value for each in rounds for value in each]
