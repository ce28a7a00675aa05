"""Workers in a process of their own, which stands still in the middle of an installation until it is woken."""

import itertools
import signal
import threading
from pathlib import Path

from vpc_cni.addons.clusters import GuardedCluster, StoredConnections, open_vault
from vpc_cni.addons.engine import AddonEngine
from vpc_cni.addons.images import ImageSource
from vpc_cni.addons.store import Store
from vpc_cni.addons.work import Clusters, Workers, WorkSettings
from vpc_cni.addons.work.steps import Reach, Step, ignore_step
from vpc_cni.manifests import ImageSet, packaged_catalogue, parse_registry

SETTINGS = WorkSettings(lease=2.0, write_margin=1.0, roll_out_look=0.1)


def workers_of(store: Store, seal_key: Path, reach: Reach = ignore_step) -> Workers[GuardedCluster]:
    """Return workers with short leases."""
    images = ImageSource(ImageSet.OWN, parse_registry("registry.example.com"))
    engine = AddonEngine(packaged_catalogue(), lambda profile: images.plan(profile, "eu-west-1"))
    clusters = Clusters(StoredConnections(store, open_vault(seal_key), reach), engine)
    return Workers(store, clusters, SETTINGS, reach=reach)


def run(url: str, seal_key: Path, writes: int) -> None:
    """Work, and stand still after so many writes; once woken, end when the try under way has ended."""
    woken, written = threading.Event(), itertools.count(1)

    def reach(step: Step) -> None:
        if step is Step.OBJECT_WRITTEN and next(written) == writes:
            # To this thread, which so does nothing more before it stands still; the others do as well.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
            woken.set()

    store = Store(url)
    workers = workers_of(store, seal_key, reach)
    workers.start()
    woken.wait(60)
    workers.stop()
    store.close()
