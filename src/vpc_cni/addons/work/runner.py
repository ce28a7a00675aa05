"""One try of one operation: from what the store says to what the cluster is, and back into the store.

Theory of operation. An operation without a deadline has its objects not applied yet: apply them, write so, and give
the work back; from then on each try is one look at the roll-out. So no thread waits for pods, and a kill at any point
leaves the store saying which of the two is next. Both may be repeated.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Generic

from vpc_cni.addons.model import AddonRecord, ClusterRecord, Desired, Issue, Operation, OperationKind
from vpc_cni.addons.states import End
from vpc_cni.addons.store import Lease, LeaseLostError, NoClusterError, Store
from vpc_cni.addons.work import messages
from vpc_cni.addons.work.ports import Clusters, ClusterT
from vpc_cni.addons.work.settings import WorkSettings
from vpc_cni.addons.work.steps import Reach, Step, ignore_step
from vpc_cni.errors import KubernetesError, KubernetesUnreachableError, VpcCniError

_LOG = logging.getLogger(__name__)
Ended = Callable[[OperationKind, End, float], None]


def desired_of(cluster: ClusterRecord, asked: Operation | AddonRecord) -> Desired:
    """Return what an add-on should be in a cluster. Pure."""
    return Desired(
        version=asked.version,
        configuration_values=asked.configuration_values,
        role_arn=asked.role_arn,
        kubernetes_version=cluster.version,
        ip_family=cluster.network.family,
    )


def _given_up(operation: Operation) -> End:
    """Return the end of work that is not tried again: what was applied stays applied, and its health is looked at."""
    return End.NOT_READY if operation.deadline else End.REFUSED


class Runner(Generic[ClusterT]):
    """Runs operations; any number at once, each in a thread of the caller's.

    Args:
        ended: is told kind, end and age in seconds of each operation that ended.
    """

    def __init__(
        self,
        store: Store,
        clusters: Clusters[ClusterT],
        settings: WorkSettings,
        *,
        reach: Reach = ignore_step,
        chance: random.Random | None = None,
        clock: Callable[[], float] = time.time,
        ended: Ended = lambda _kind, _end, _age: None,
    ) -> None:
        self._store = store
        self._clusters = clusters
        self._settings = settings
        self._reach = reach
        self._chance = chance or random.Random()  # noqa: S311 # no secret comes of it
        self._clock = clock
        self._ended = ended

    def run(self, lease: Lease, before_write: Callable[[], None]) -> None:
        """Try once; never raises for what went wrong with the cluster or with us: that is written.

        Args:
            before_write: raises LeaseLostError when the cluster may not be written to (any more).
        """
        self._reach(Step.CLAIMED)
        self._try(lease, lambda: self._advance(lease, before_write))

    def _try(self, lease: Lease, work: Callable[[], None]) -> None:
        operation = lease.operation
        try:
            work()
        except (LeaseLostError, NoClusterError) as err:
            _LOG.info("%s of %s left alone: %s", operation.kind, operation.cluster, err)
        except KubernetesError as err:
            self._failed(lease, err)
        except VpcCniError as err:
            _LOG.warning("%s of %s failed: %s", operation.kind, operation.cluster, err)
            self._failed_inside(lease)
        except Exception:
            # The border of a task: a bug must end the operation in words, not leave it under way for ever.
            _LOG.exception("%s of %s failed", operation.kind, operation.cluster)
            self._failed_inside(lease)

    def _advance(self, lease: Lease, before_write: Callable[[], None]) -> None:
        operation = lease.operation
        cluster = self._clusters.connections.open(operation.cluster, before_write)
        if operation.kind is OperationKind.DELETE:
            self._remove(lease, cluster)
            return
        desired = desired_of(self._store.clusters.get(operation.cluster), operation)
        if not operation.deadline:
            self._install(lease, cluster, desired)
        else:
            self._look(lease, cluster, desired)

    def _install(self, lease: Lease, cluster: ClusterT, desired: Desired) -> None:
        operation = lease.operation
        applied = self._clusters.engine.install(cluster, desired, operation.mode, operation.previous_version)
        self._reached(lease)
        if applied.issues:
            self._end(lease, End.REFUSED, applied.issues)
            return
        self._reach(Step.OBJECTS_APPLIED)
        deadline = self._store.leases.note_applied(lease, self._settings.update_deadline)
        self._reach(Step.APPLIED_NOTED)
        # What fails from here on fails after the objects were applied, and has all the time until the deadline.
        noted = replace(lease, operation=replace(operation, deadline=deadline))
        self._try(noted, lambda: self._look(noted, cluster, desired))

    def _look(self, lease: Lease, cluster: ClusterT, desired: Desired) -> None:
        health = self._clusters.engine.observe(cluster, desired)
        self._reached(lease)
        self._reach(Step.LOOKED)
        deadline = lease.operation.deadline
        if health.ready:
            self._end(lease, End.DONE)
        elif deadline and lease.claimed_at >= deadline:
            self._end(lease, End.NOT_READY, health.issues or (messages.NO_REPLICAS,))
        else:
            self._store.leases.release(lease, self._settings.roll_out_look)
            self._reach(Step.RELEASED)

    def _remove(self, lease: Lease, cluster: ClusterT) -> None:
        operation = lease.operation
        removed = self._clusters.engine.remove(cluster, operation.version, preserve=operation.preserve)
        self._reached(lease)
        self._reach(Step.OBJECTS_REMOVED)
        self._end(lease, End.REFUSED if removed.issues else End.DONE, removed.issues)

    def _failed(self, lease: Lease, err: KubernetesError) -> None:
        _LOG.info("%s of %s: %s", lease.operation.kind, lease.operation.cluster, err)
        if not err.retryable:
            self._safely(lease, lambda: self._end(lease, _given_up(lease.operation), (messages.issue_of(err),)))
            return
        unreachable = isinstance(err, KubernetesUnreachableError)
        if unreachable:
            self._store.looks.note_contact(lease.operation.cluster, reached=False)
        issue = messages.unreachable(lease.operation.cluster) if unreachable else messages.lasting(err)
        self._safely(lease, lambda: self._try_later(lease, issue, unreachable=unreachable))

    def _try_later(self, lease: Lease, issue: Issue, *, unreachable: bool) -> None:
        """Plan another try, unless the operation is too old by now; after a while an issue says why it takes long."""
        operation, now = lease.operation, lease.claimed_at
        if now >= (operation.deadline or operation.created_at + self._settings.update_deadline):
            self._end(lease, _given_up(operation), (issue,))
            return
        if unreachable and self._is_told(lease):
            self._store.leases.note_issues(lease, (issue,))
        self._store.leases.release(lease, self._settings.retry.seconds(lease.attempts, self._chance), failed=True)

    def _failed_inside(self, lease: Lease) -> None:
        if lease.attempts + 1 >= self._settings.internal_attempts:
            self._safely(lease, lambda: self._end(lease, _given_up(lease.operation), (messages.internal(),)))
            return
        wait = self._settings.retry.seconds(lease.attempts, self._chance)
        self._safely(lease, lambda: self._store.leases.release(lease, wait, failed=True))

    def _safely(self, lease: Lease, write: Callable[[], None]) -> None:
        try:
            write()
        except LeaseLostError:
            _LOG.info("%s of %s is someone else's by now", lease.operation.kind, lease.operation.cluster)

    def _is_told(self, lease: Lease) -> bool:
        """Whether an issue says that the cluster is unreachable: it has been for long enough."""
        since = lease.unreachable_since
        return bool(since) and lease.claimed_at - since >= self._settings.unreachable_after

    def _reached(self, lease: Lease) -> None:
        if lease.unreachable_since:
            self._store.looks.note_contact(lease.operation.cluster, reached=True)
        if self._is_told(lease):
            self._store.leases.note_issues(lease, ())

    def _end(self, lease: Lease, end: End, issues: tuple[Issue, ...] = ()) -> None:
        self._store.leases.finish(lease, end, issues)
        self._reach(Step.ENDED)
        operation = lease.operation
        _LOG.info("%s of %s on %s: %s", operation.kind, operation.addon, operation.cluster, end.name)
        self._ended(operation.kind, end, self._clock() - operation.created_at)
