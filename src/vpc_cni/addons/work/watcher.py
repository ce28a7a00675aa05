"""One look at the health of one add-on: ACTIVE becomes DEGRADED when it stays unhealthy, and ACTIVE again at once."""

import logging
import random
from typing import Generic

from vpc_cni.addons.model import AddonStatus, Issue
from vpc_cni.addons.store import Look, NoClusterError, Store
from vpc_cni.addons.work import messages
from vpc_cni.addons.work.ports import Clusters, ClusterT
from vpc_cni.addons.work.runner import desired_of
from vpc_cni.addons.work.settings import WorkSettings
from vpc_cni.errors import InternalError, KubernetesError, VpcCniError

_LOG = logging.getLogger(__name__)


def _refuse_write() -> None:
    raise InternalError("a look at health writes to no cluster")


class Watcher(Generic[ClusterT]):
    """Looks at add-ons; any number at once, each in a thread of the caller's."""

    def __init__(
        self,
        store: Store,
        clusters: Clusters[ClusterT],
        settings: WorkSettings,
        chance: random.Random | None = None,
    ) -> None:
        self._store = store
        self._clusters = clusters
        self._settings = settings
        self._chance = chance or random.Random()  # noqa: S311 # no secret comes of it

    def look(self, look: Look) -> None:
        """Look once; never raises for what is wrong with the cluster: that is written."""
        addon = look.addon
        try:
            cluster = self._clusters.connections.open(addon.cluster, _refuse_write)
            desired = desired_of(self._store.clusters.get(addon.cluster), addon)
            health = self._clusters.engine.observe(cluster, desired)
        except NoClusterError:
            return
        except KubernetesError as err:
            if messages.is_away(err):
                self._unreachable(look)
                return
            self._reached(look)
            if not err.retryable:
                self._judge(look, (messages.issue_of(err),))
        except VpcCniError as err:
            # A bug or a setting of ours says nothing about the add-on.
            _LOG.warning("health of %s on %s: %s", addon.name, addon.cluster, err)
        else:
            self._reached(look)
            issues = () if health.ready else health.issues or (messages.NO_REPLICAS,)
            self._judge(look, health.issues or issues)

    def _reached(self, look: Look) -> None:
        if look.unreachable_since:
            self._store.looks.note_contact(look.addon.cluster, reached=True)

    def _unreachable(self, look: Look) -> None:
        since = look.unreachable_since
        self._store.looks.note_contact(look.addon.cluster, reached=False)
        age = look.at - since if since else 0.0
        attempts = max(0, int(age / self._settings.unreachable_look.first)).bit_length()
        self._store.looks.put_off(look, self._settings.unreachable_look.seconds(attempts, self._chance))
        if since and age >= self._settings.unreachable_after:
            self._store.looks.note_health(look, (messages.unreachable(look.addon.cluster),))

    def _judge(self, look: Look, issues: tuple[Issue, ...]) -> None:
        """Write health, but of an ACTIVE add-on only what lasts; look again soon to see whether it does."""
        wait, since = self._settings.degraded_after, look.unhealthy_since or look.at
        if issues and look.addon.status is AddonStatus.ACTIVE and look.at - since < wait:
            self._store.looks.note_unhealthy(look, min(wait, self._settings.look_every))
            return
        self._store.looks.note_health(look, issues)
