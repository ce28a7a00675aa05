"""The reaper: deletes pod links in groups, later, on a thread of its own.

Deleting a link waits for kernel barriers of about 20 ms, whether it is one link or sixty. A DEL therefore only
puts its link into a group; this thread deletes the whole group with one request and reports which indexes are
confirmed gone.

Theory of operation. Links that are to go form batches. Each batch has a group number that no other link had when it
was drawn. ``join`` (called by the owner of the DEL, before it changes the kernel) registers a link with the open
batch and returns its number; the caller then sets the link's group. The thread lets a batch gather for a while,
seals it, lists the members of the group in the kernel, and

- deletes the group when all members are links of the batch;
- deletes the links of the batch one by one when there is a stranger: others may use groups too;
- takes a link that has not yet arrived in its group, or survived, into the next round, with its alias checked.
"""

import errno
import logging
import random
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vpc_cni.errors import KernelError
from vpc_cni.netlink import decode, messages, uapi
from vpc_cni.netlink.objects import Link
from vpc_cni.netlink.route_socket import RouteSocket
from vpc_cni.netlink.wire import u32

_log = logging.getLogger(__name__)

BATCH_LIMIT = 256
GATHER_SECONDS = 0.1
# While links keep coming, so many times longer: each batch holds all other changes of links up for some 20 ms.
_GATHER_ROUNDS = 4
_RETRY_SECONDS = 0.2
_GROUP_BITS = 31
_GROUP_ATTRIBUTE = struct.Struct("=HHI")


@dataclass(slots=True)
class _Batch:
    """Links that go together: index to alias."""

    group: int
    links: dict[int, str] = field(default_factory=dict)


class Reaper:
    """Owner of the link groups. ``join``, ``start`` and ``stop`` may be called from any thread.

    Args:
        sock: a socket in the host's namespace; belongs to the reaper from now on.
        on_gone: called on the reaper's thread with indexes that are confirmed gone; must not block or raise.
    """

    def __init__(
        self,
        sock: RouteSocket,
        on_gone: Callable[[Sequence[int]], None],
        *,
        rng: random.Random,
        gather_seconds: float = GATHER_SECONDS,
    ) -> None:
        self._socket = sock
        self._on_gone = on_gone
        self._rng = rng
        self._gather_seconds = gather_seconds
        self._condition = threading.Condition()
        self._batches: deque[_Batch] = deque()
        self._in_work: _Batch | None = None
        self._groups_in_use = frozenset(link.group for link in sock.list_links())
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="link-reaper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, timeout_seconds: float = 2.0) -> None:
        """End the thread after the batch in work. Links not yet deleted stay as they are."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        self._socket.close()

    def join(self, ifindex: int, alias: str) -> int:
        """Register a link that shall go; return the group that the caller must put it in, now."""
        with self._condition:
            if not self._batches or len(self._batches[-1].links) >= BATCH_LIMIT:
                self._batches.append(_Batch(self._draw_group()))
                self._condition.notify()
            batch = self._batches[-1]
            batch.links[ifindex] = alias
            return batch.group

    def owns(self, ifindex: int) -> bool:
        """Whether a link is registered and not yet confirmed gone."""
        with self._condition:
            in_work = self._in_work
            if in_work is not None and ifindex in in_work.links:
                return True
            return any(ifindex in batch.links for batch in self._batches)

    def pending(self) -> int:
        """How many links are registered and not yet confirmed gone."""
        with self._condition:
            in_work = len(self._in_work.links) if self._in_work is not None else 0
            return in_work + sum(len(batch.links) for batch in self._batches)

    def progress(self) -> tuple[bool, int]:
        """Whether the thread is there, and the group that it deletes now; 0 between batches."""
        with self._condition:
            is_there = self._stopping or self._thread.is_alive()
            return is_there, self._in_work.group if self._in_work is not None else 0

    def _draw_group(self) -> int:
        while True:
            group = self._rng.getrandbits(_GROUP_BITS)
            if group and group not in self._groups_in_use:
                return group

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            if batch is None:
                return
            try:
                gone = self._reap(batch)
            except Exception:  # the thread must live: without it no address would ever be used again
                _log.exception("deleting %d pod links failed; they are tried again", len(batch.links))
                gone = []
            self._settle(batch, gone)

    def _next_batch(self) -> _Batch | None:
        """Wait for a batch and let it gather; None when stopping."""
        with self._condition:
            self._condition.wait_for(lambda: self._stopping or self._batches)
            self._gather()
            if self._stopping:
                return None
            self._in_work = self._batches.popleft()
            return self._in_work

    def _gather(self) -> None:
        """Let the oldest batch grow until it is full, a round brings nothing new, or the rounds are over."""
        for _ in range(_GATHER_ROUNDS):
            known = len(self._batches[0].links) if self._batches else 0
            if self._stopping or known >= BATCH_LIMIT:
                return
            self._condition.wait_for(lambda: self._stopping, self._gather_seconds)
            if self._batches and len(self._batches[0].links) == known:
                return

    def _settle(self, batch: _Batch, gone: Sequence[int]) -> None:
        """Report what is gone; register the rest again, in a new group."""
        left = {index: alias for index, alias in batch.links.items() if index not in set(gone)}
        for ifindex, alias in left.items():
            self._move(ifindex, self.join(ifindex, alias))
        with self._condition:
            self._in_work = None
            if left and not gone:  # no progress: the kernel refuses; do not spin
                self._condition.wait_for(lambda: self._stopping, _RETRY_SECONDS)
        if gone:
            self._on_gone(gone)

    def _move(self, ifindex: int, group: int) -> None:
        try:
            self._socket.execute([messages.set_link(ifindex, group=group).tolerating(errno.ENODEV)])
        except KernelError:
            _log.exception("link %d could not be put into the group of links to delete", ifindex)

    def _reap(self, batch: _Batch) -> list[int]:
        """Delete what is in the batch's group; return the indexes of the batch that do not exist any more."""
        members = self._list_members(batch.group)
        if any(batch.links.get(link.ifindex) != link.alias for link in members):
            _log.warning("link group %d has members that are not ours; deleting ours one by one", batch.group)
            ours = [link.ifindex for link in members if batch.links.get(link.ifindex) == link.alias]
            self._socket.execute([messages.delete_link(index).tolerating(errno.ENODEV) for index in ours])
        elif members:
            self._socket.execute([messages.delete_link_group(batch.group).tolerating(errno.ENODEV)])
        present = self._socket.links_by_index(list(batch.links))
        # Another alias under the same index is another link: the one we were asked for is gone.
        return [i for i, alias in batch.links.items() if i not in present or present[i].alias != alias]

    def _list_members(self, group: int) -> list[Link]:
        """Return the links of one group. Cost: the kernel's own; only members are decoded."""
        marker = _GROUP_ATTRIBUTE.pack(8, uapi.IFLA_GROUP, group)
        body = messages.IFINFOMSG.pack(0, 0, 0, 0, 0, 0) + u32(uapi.IFLA_EXT_MASK, uapi.RTEXT_FILTER_SKIP_STATS)

        def parse(answer: bytes) -> Link | None:
            return decode.parse_link(answer) if marker in answer else None

        links = self._socket.dump(uapi.RTM_GETLINK, body, uapi.RTM_NEWLINK, parse, consistent=False)
        return [link for link in links if link is not None and link.group == group]
