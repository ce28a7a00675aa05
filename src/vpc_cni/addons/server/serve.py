"""Putting the service together, running it, and ending it without losing anything."""

import asyncio
import contextlib
import gc
import os
import signal
import ssl
from collections.abc import AsyncIterator, Callable

from vpc_cni.addons.api import Service, api_application
from vpc_cni.addons.clusters import GuardedCluster, StoredConnections, open_vault
from vpc_cni.addons.engine import AddonEngine
from vpc_cni.addons.server.instance import Instance
from vpc_cni.addons.server.keys import AccessKeys
from vpc_cni.addons.server.listening import listen_on, listening, tls_of
from vpc_cni.addons.server.local import local_application
from vpc_cni.addons.server.metrics import Metrics
from vpc_cni.addons.server.options import ACCESS_KEYS_FILE, SEAL_KEY_FILE, ServeOptions, store_url_of
from vpc_cni.addons.store import Store
from vpc_cni.addons.work import Clusters, Workers
from vpc_cni.addons.work.steps import crash_at

Report = Callable[[str], None]
_KEYS_LOOK_SECONDS = 1.0


async def serve(options: ServeOptions, report: Report) -> None:
    """Serve until SIGTERM or SIGINT; then finish the requests and tries under way, unless there is a second signal.

    SIGHUP reads the access keys again; so does a change of their file, within a second.

    Args:
        report: is given lines for people, one that says ``ready`` the last of them.

    Raises:
        ConfigurationError, HostError: it cannot start as it was told to.
    """
    stopping = _stopped_by_signals(report)
    async with contextlib.AsyncExitStack() as stack:
        tls = tls_of(options.certificate, options.certificate_key)
        await _start(options, stack, tls, stopping, report)
        # What was loaded stays: without this each full collection goes through all of it, while every request waits.
        gc.collect()
        gc.freeze()
        report("ready")
        await stopping.wait()
        report("stopping")


def _stopped_by_signals(report: Report) -> asyncio.Event:
    """Return what the first SIGTERM or SIGINT sets; the second ends this process where it stands."""
    stopping = asyncio.Event()

    def stop(number: int) -> None:
        if not stopping.is_set():
            stopping.set()
            return
        report("ending at once: what is under way goes on at the next start")
        # Threads that wait for a cluster cannot be called back. The store is made for being killed.
        os._exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    return stopping


async def _start(
    options: ServeOptions,
    stack: contextlib.AsyncExitStack,
    tls: ssl.SSLContext | None,
    stopping: asyncio.Event,
    report: Report,
) -> None:
    folder = options.state_folder
    instance = Instance(folder)
    stack.callback(instance.close)
    vault = open_vault(options.seal_key or folder / SEAL_KEY_FILE)
    keys = AccessKeys(options.access_keys or folder / ACCESS_KEYS_FILE)
    await stack.enter_async_context(_following(keys))
    store = Store(store_url_of(folder, options.store_url), keep_updates=options.keep_updates)
    stack.callback(store.close)
    metrics = Metrics(store.overview)
    reach = crash_at(options.crash_at)
    engine = AddonEngine(options.catalogue, lambda profile: options.images.plan(profile, options.owner.region))
    workers = Workers(
        store,
        Clusters(StoredConnections(store, vault, reach), engine),
        options.work,
        holder=instance.name,
        reach=reach,
        ended=metrics.ended,
    )
    service = Service(
        store=store,
        owner=options.owner,
        catalogue=options.catalogue,
        images=options.images,
        secret_of=keys.secret_of,
        strict_minor_step=options.strict_minor_step,
    )
    local, api = listen_on(options.local, "--local"), listen_on(options.listen, "--listen")
    await stack.enter_async_context(_working(workers))
    faces = local_application(*_probes(store, workers, stopping), metrics.text)
    await stack.enter_async_context(listening(faces, local))
    application = api_application(service)
    await stack.enter_async_context(application.router.lifespan_context(application))
    await stack.enter_async_context(listening(metrics.counting(application), api, tls))
    _introduce(options, keys, (api.getsockname()[1], local.getsockname()[1]), report)


@contextlib.asynccontextmanager
async def _following(keys: AccessKeys) -> AsyncIterator[None]:
    """Keep keys as their file has them."""
    loop = asyncio.get_running_loop()
    # It is small, and on this machine: no thread is worth it.
    loop.add_signal_handler(signal.SIGHUP, lambda: keys.refresh(always=True))

    async def follow() -> None:
        while True:
            await asyncio.sleep(_KEYS_LOOK_SECONDS)
            keys.refresh()

    following = asyncio.create_task(follow())
    try:
        yield
    finally:
        following.cancel()
        loop.remove_signal_handler(signal.SIGHUP)


@contextlib.asynccontextmanager
async def _working(workers: Workers[GuardedCluster]) -> AsyncIterator[None]:
    workers.start()
    try:
        yield
    finally:
        # The tries under way end in threads; the loop meanwhile sends the answers under way.
        await asyncio.to_thread(workers.stop)


def _probes(
    store: Store, workers: Workers[GuardedCluster], stopping: asyncio.Event
) -> tuple[Callable[[], str], Callable[[], str]]:
    """Return what tells why the service is dead, and why it is not ready: empty when it is not so."""

    def what_is_dead() -> str:
        return "" if workers.alive or stopping.is_set() else "the workers have ended: restart the service"

    def what_is_not_ready() -> str:
        if stopping.is_set():
            return "stopping"
        if not workers.alive:
            return what_is_dead()
        try:
            store.leases.count()
        except Exception as err:
            # Whatever is wrong with the database, here it only means that requests should go elsewhere.
            return f"the store does not answer: {type(err).__name__}"
        return ""

    return what_is_dead, what_is_not_ready


def _introduce(options: ServeOptions, keys: AccessKeys, ports: tuple[int, int], report: Report) -> None:
    if (made := keys.made) is not None:
        report(f"access key id     {made.id}")
        report(f"secret access key {made.secret}")
        report(f"shown this once; kept in {options.access_keys or options.state_folder / ACCESS_KEYS_FILE}")
    scheme = "http" if options.certificate is None else "https"
    report(f"API     {scheme}://{options.listen.host}:{ports[0]} in {options.owner.region}")
    report(f"local   http://{options.local.host}:{ports[1]} with /livez, /readyz, /metrics")
