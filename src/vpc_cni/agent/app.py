"""The agent put together: what starts in which order, and what happens at SIGTERM.

Start: lock, pages (alive, not ready), identity, ENIs and their links, restore, growth, spool, plugin socket, conflist,
ready. A node looks ready to its runtime only when its pods can have networks.

Stop: a marker asks plugins to wait for a successor, running requests end, the checkpoint is written. Links, rules and
nftables stay: pods do not notice.
"""

import asyncio
import contextlib
import dataclasses
import functools
import logging
import random
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import vpc_cni
from vpc_cni.agent.background import Background
from vpc_cni.agent.checkpoint_file import CheckpointFile
from vpc_cni.agent.clock import boottime, unix_ns
from vpc_cni.agent.conflist import ConflistOptions, render_conflist, write_conflist
from vpc_cni.agent.discovery import AttachedEnis, NodeIdentity, known_enis, read_enis, read_node
from vpc_cni.agent.errors_seen import ErrorsSeen
from vpc_cni.agent.faces import Pages
from vpc_cni.agent.growth import Grower
from vpc_cni.agent.health import Health, ThreadWatch
from vpc_cni.agent.host_network import HostNetwork, on_loop
from vpc_cni.agent.http import HttpFace, LoopBridge
from vpc_cni.agent.journal_file import JournalFile, read_boot_id
from vpc_cni.agent.kubernetes import ClusterSide, NodeView, check_annotations, join_cluster, make_cluster_side
from vpc_cni.agent.ledger import Ledger
from vpc_cni.agent.metrics import AgentMetrics
from vpc_cni.agent.observing import MetricsObserver
from vpc_cni.agent.plugin_watch import PluginWatch
from vpc_cni.agent.pod_plane import PodWirer
from vpc_cni.agent.pods import PodNetworks, PodOptions
from vpc_cni.agent.provision import Provisioner
from vpc_cni.agent.reconciler import Reconciler
from vpc_cni.agent.restore import Restorer
from vpc_cni.agent.run_folder import lock_run_folder
from vpc_cni.agent.server import PluginServer
from vpc_cni.agent.spool import SpoolWatch
from vpc_cni.agent.spool_replay import SpoolReplay
from vpc_cni.agent.startup import growth_targets, node_facts, set_up_links, wait_for_identity
from vpc_cni.agent.steps import Step, crash_at
from vpc_cni.agent.takeover import Ownership
from vpc_cni.agent.unfinished import UnfinishedSteps
from vpc_cni.agent.waiting import WaitingLane
from vpc_cni.ec2 import Ec2Client, InstanceIdentity, MetadataClient, Timing, connect_ec2, connect_metadata
from vpc_cni.errors import CloudError, VpcCniError
from vpc_cni.ipam import Conditions, EniState, Pool
from vpc_cni.ipam.journal import JournalRead
from vpc_cni.model import Eni
from vpc_cni.rpc.marker import MAX_WAIT_SECONDS, remove_marker, write_marker
from vpc_cni.rpc.spool import SPOOL_DIRECTORY
from vpc_cni.settings import AgentSettings

_log = logging.getLogger(__name__)

# EC2 is asked from this many threads at once: one slow call for each of a few ENIs, and comparison beside them.
_EC2_THREADS = 6
_STOP_GRACE_SECONDS = 2.0
# After a failed growth an ADD waits as long as a DEL of now would need to yield an address, and a little more.
_PATIENCE_MARGIN_SECONDS = 10.0

T = TypeVar("T")


async def run_agent(settings: AgentSettings, environ: Mapping[str, str]) -> int:
    """Run the agent until SIGTERM or SIGINT; return the exit status.

    Raises:
        VpcCniError: the agent cannot start on this node; the message says why and what to do.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    agent = Agent(settings, environ, stop)
    starting = asyncio.ensure_future(agent.start())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
        else:
            starting.result()
            await stopping
    finally:
        await agent.stop()
    return 0


@dataclasses.dataclass(slots=True)
class Serving:
    """What exists once pods are served; taken down in ``Agent.stop``."""

    pods: PodNetworks
    grower: Grower
    server: PluginServer
    spool: SpoolWatch


class Agent:
    """One running agent; ``start`` and ``stop`` once each.

    Args:
        stop: set when the agent shall end.
    """

    def __init__(self, settings: AgentSettings, environ: Mapping[str, str], stop: asyncio.Event) -> None:
        self._settings = settings
        self._environ = environ
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._rng = random.Random()  # noqa: S311 - jitter and index ranges, no secrets
        self._reach = crash_at(settings.host.crash_at)
        self._executor = ThreadPoolExecutor(_EC2_THREADS, thread_name_prefix="ec2")
        self._timing = Timing()
        self._metrics = AgentMetrics(vpc_cni.__version__)
        self._errors = ErrorsSeen()
        self._health = Health(boottime)
        self._background = Background(self._metrics, self._errors, self._rng)
        self._pool = Pool(settings.pool.cooldown_seconds)
        self._lane = WaitingLane(
            limit=settings.pool.max_waiting_adds,
            patience_seconds=settings.pool.cooldown_seconds + _PATIENCE_MARGIN_SECONDS,
        )
        self._pages = Pages(settings, self._health, self._pool, self._lane, self._metrics, self._errors, boottime)
        self._faces: list[HttpFace] = []
        self._unmanaged: tuple[Eni, ...] = ()
        self._lock_fd = -1
        self._journal: JournalFile | None = None
        self._network: HostNetwork | None = None
        self._checkpoint: CheckpointFile | None = None
        self._serving: Serving | None = None
        self._reconciler: Reconciler | None = None
        self._cluster: ClusterSide | None = None
        self._ownership = Ownership(settings.host.run_dir, settings.host.backing_store, reach=self._reach)

    # -- start ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring the agent to the point where it serves pods."""
        for notice in self._settings.notices:
            _log.warning("%s", notice)
        self._lock_fd = lock_run_folder(self._settings.host.run_dir)
        self._background.spawn(self._background.beat(self._health), "heartbeat")
        for face in self._pages.open(LoopBridge(self._loop)):
            face.start()
            self._faces.append(face)
        await self._ownership.wait_until_ours(self._health)
        metadata = connect_metadata(self._environ, timing=self._timing, observer=MetricsObserver(self._metrics))
        instance = await wait_for_identity(lambda: self._in_thread(metadata.identity), self._health, self._errors)
        client = self._connect_ec2(metadata, instance)
        node = await self._in_thread(functools.partial(read_node, metadata, instance, client))
        self._pages.node = node
        look = functools.partial(
            read_enis, metadata, client, instance, manage_untagged=self._settings.pool.manage_untagged_eni
        )
        attached = await self._in_thread(look)
        self._see(attached)
        network = HostNetwork(
            self._settings.network,
            rng=self._rng,
            on_gone=on_loop(self._loop, self._links_gone),
            on_repair=lambda repair: self._metrics.drift_repairs.labels(repair.kind).inc(),
            on_eni_link_gone=self._eni_link_gone,
        )
        self._network = network
        self._health.vital.append(ThreadWatch("thread that deletes links", network.reaping, boottime).problem)
        journal = JournalFile(self._settings.host.run_dir / "journal", read_boot_id())
        read = journal.open()
        self._journal = journal
        self._health.checks.append(lambda: journal.problem)
        self._health.checks.append(PluginWatch(self._settings.host.plugin_dir).problem)
        ours = attached.managed if attached.is_ec2_word else known_enis(attached.managed, journal.state)
        closed = await set_up_links(network, ours, node, self._errors)
        restorer, ledger, wirer = self._restore(network, journal, read, ours)
        self._ownership.take(network.nat_plan)
        for eni in closed:
            self._pool.set_eni_state(eni.eni_id, EniState.DRAINING)
        provisioner = self._build_provisioner(client, ledger, network, node)
        unfinished = UnfinishedSteps(ledger, provisioner, provisioning=self._settings.pool.provisioning)
        unfinished.begin()
        grower = self._build_grower(ledger, provisioner, node)
        check_annotations(self._settings.kubernetes, self._environ)
        self._background.spawn(self._join_cluster(ledger, grower), "join the cluster")
        pods = self._build_pods(ledger, wirer, grower)
        self._serve(pods, grower)
        network.start_repairs()
        reconciler = Reconciler(
            ledger=ledger,
            provisioner=provisioner,
            client=client,
            instance_id=instance.instance_id,
            look=lambda: self._in_thread(look),
            review=restorer.review,
            in_thread=self._in_thread,
            metrics=self._metrics,
            errors=self._errors,
            clock=boottime,
            spawn=self._background.spawn,
        )
        self._reconciler = reconciler
        self._start_background(
            client=client,
            node=node,
            metadata=metadata,
            reconciler=reconciler,
            unfinished=unfinished,
            disagreed=grower.disagreed,
        )
        grower.start()
        seconds = round(boottime() - self._health.started_at, 3)
        _log.info("serving pods", extra={"fields": {"seconds": seconds, "pods": len(self._pool.allocations())}})

    def _connect_ec2(self, metadata: MetadataClient, instance: InstanceIdentity) -> Ec2Client:
        cloud = self._settings.cloud
        access = connect_ec2(
            self._environ,
            region=cloud.region or instance.region,
            metadata=metadata,
            http_timeout_seconds=cloud.http_timeout_seconds,
            timing=self._timing,
            observer=MetricsObserver(self._metrics),
            announced_version=cloud.announced_version,
        )
        self._pages.budget = access.budget
        return access.client

    def _see(self, attached: AttachedEnis) -> None:
        """Remember the ENIs that only take places; metadata alone does not know them."""
        if attached.problem is not None:
            self._errors.add(attached.problem.operation, attached.problem)
        if attached.is_ec2_word:
            self._unmanaged = attached.unmanaged
            self._pages.unmanaged_enis = len(attached.unmanaged)

    def _restore(
        self, network: HostNetwork, journal: JournalFile, read: JournalRead, enis: Sequence[Eni]
    ) -> tuple[Restorer, Ledger, PodWirer]:
        backing_store = self._settings.host.backing_store
        checkpoint = CheckpointFile(backing_store, journal, self._pool.allocations, reach=self._reach)
        ledger = Ledger(self._pool, journal, reach=self._reach, on_change=lambda: self._pods_changed(checkpoint))
        wirer = PodWirer(network.pods, network.socket, find_eni=self._pool.eni, reach=self._reach)
        restorer = Restorer(
            ledger=ledger,
            journal=journal,
            checkpoint=checkpoint,
            plane=network.pods,
            wirer=wirer,
            host=network.socket,
            veth_prefix=self._settings.network.veth_prefix,
            cooldown_seconds=self._settings.pool.cooldown_seconds,
            reach=self._reach,
            on_problem=self._errors.add,
        )
        restorer.restore(read, enis, boottime())
        checkpoint.mark_changed()
        self._checkpoint = checkpoint
        return restorer, ledger, wirer

    def _build_provisioner(
        self, client: Ec2Client, ledger: Ledger, network: HostNetwork, node: NodeIdentity
    ) -> Provisioner:
        return Provisioner(
            client=client,
            ledger=ledger,
            links=network,
            facts=node_facts(self._settings, node, self._pool.enis()),
            in_thread=self._in_thread,
            clock=boottime,
            reach=self._reach,
            on_addresses=self._addresses_came,
        )

    def _build_grower(self, ledger: Ledger, provisioner: Provisioner, node: NodeIdentity) -> Grower:
        primary = self._pool.enis()[0]
        fixed = Conditions(subnets=(primary.subnet_id,), provisioning=self._settings.pool.provisioning)
        grower = Grower(
            ledger=ledger,
            provisioner=provisioner,
            lane=self._lane,
            targets=growth_targets(self._settings, node.limits),
            limits=node.limits,
            conditions=lambda: self._conditions(fixed),
            metrics=self._metrics,
            errors=self._errors,
            clock=boottime,
            chance=self._rng.random,
        )
        self._pages.grower = grower
        return grower

    async def _join_cluster(self, ledger: Ledger, grower: Grower) -> None:
        """Begin to work with the Kubernetes API, where there is one, once it can be: nobody waits for it."""
        settings = self._settings.kubernetes
        access = await join_cluster(settings, self._environ, errors=self._errors, chance=self._rng.random)
        if access is None:
            return
        bounded_by_setting = self._settings.pool.max_pods is not None

        def node_seen(view: NodeView) -> None:
            if view.max_pods is not None and not bounded_by_setting:
                grower.bound_pods(view.max_pods)
            grower.nudge()

        self._cluster = make_cluster_side(
            access, settings, ledger, on_view=node_seen, errors=self._errors, clock=boottime
        )
        self._lane.on_shortage = self._cluster.pod_without_address
        self._cluster.start()
        self._errors.tell(self._cluster.saw_error)

    def _is_cordoned(self) -> bool:
        """Whether the pool stays as it is because no pods are sent to this node."""
        seen = self._cluster is not None and self._cluster.node.unschedulable
        return seen and not self._settings.pool.manage_unschedulable

    def _conditions(self, fixed: Conditions) -> Conditions:
        return dataclasses.replace(
            fixed,
            unmanaged_enis=len(self._unmanaged),
            used_device_numbers=frozenset(eni.device_number for eni in self._unmanaged),
            terminating=self._stop.is_set(),
            unschedulable=self._is_cordoned(),
        )

    def _build_pods(self, ledger: Ledger, wirer: PodWirer, grower: Grower) -> PodNetworks:
        return PodNetworks(
            ledger=ledger,
            wirer=wirer,
            lane=self._lane,
            grower=grower,
            metrics=self._metrics,
            options=PodOptions(self._settings.network.veth_prefix, self._settings.pool.add_wait_seconds),
            why_not_ready=lambda: list(self._health.reasons),
            clock=boottime,
            wall_ns=unix_ns,
            reach=self._reach,
        )

    def _serve(self, pods: PodNetworks, grower: Grower) -> None:
        """Replay what was missed, listen, and only then let the runtime know."""
        host = self._settings.host
        directory = host.run_dir / SPOOL_DIRECTORY
        replay = SpoolReplay(directory, pods.delete_recorded, self._errors, self._reach)
        spool = SpoolWatch(directory, replay.run)
        replay.run()
        server = PluginServer(
            host.socket_path,
            pods.handle,
            clock=boottime,
            agent_version=vpc_cni.__version__,
            on_refused=self._refused,
        )
        server.listen()
        self._serving = Serving(pods, grower, server, spool)
        remove_marker(host.run_dir)
        write_conflist(host.conflist_dir, render_conflist(ConflistOptions.of(self._settings)))
        self._health.phase = ""
        self._ownership.watch(self._stop.set)

    def _refused(self, error: Exception) -> None:
        self._metrics.errors.labels("refusedRequest").inc()
        _log.warning("request refused: %s", error)

    def _start_background(
        self,
        *,
        client: Ec2Client,
        node: NodeIdentity,
        metadata: MetadataClient,
        reconciler: Reconciler,
        unfinished: UnfinishedSteps,
        disagreed: asyncio.Event,
    ) -> None:
        assert self._journal is not None  # noqa: S101 - opened by restore
        assert self._checkpoint is not None  # noqa: S101
        pool, cloud, background = self._settings.pool, self._settings.cloud, self._background
        background.spawn(self._checkpoint.run(), "checkpoint")
        background.spawn(background.compact(self._journal, boottime, self._reach), "journal compaction")
        reconciling = background.reconcile(
            reconciler,
            period_seconds=pool.reconcile_seconds,
            provisioning=pool.provisioning,
            after=lambda seen: self._after_look(seen, metadata, node),
            disagreed=disagreed,
        )
        background.spawn(background.forget(reconciler.ledger, boottime), "journal clean-up")
        background.spawn(reconciling, "reconcile")
        reconciler.open_closed()  # links that were not there at start
        background.spawn(unfinished.finish(), "unfinished EC2 steps")
        if cloud.leak_cleanup_seconds is not None and pool.provisioning:
            cleaning = background.clean_leaks(
                client,
                node,
                cluster_name=cloud.cluster_name,
                period_seconds=cloud.leak_cleanup_seconds,
                in_thread=self._in_thread,
            )
            background.spawn(cleaning, "leaked ENIs")

    # -- running --------------------------------------------------------------------------------------------------

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._executor, call)

    async def _after_look(self, seen: AttachedEnis, metadata: MetadataClient, node: NodeIdentity) -> None:
        """Follow what others changed in the VPC."""
        self._see(seen)
        with contextlib.suppress(CloudError):
            cidrs = await self._in_thread(lambda: metadata.vpc_cidrs(mac=node.instance.primary_mac))
            if self._network is not None:
                self._network.set_vpc_cidrs(cidrs)
                self._ownership.keep(self._network.nat_plan)
        self._addresses_came()

    def _eni_link_gone(self, eni_id: str) -> None:
        """Close an ENI to new pods until its link is back; the primary one's loss is for the readiness page."""
        _log.warning("the link of %s has left the node", eni_id)
        eni = self._pool.eni(eni_id)
        if eni is None or eni.is_primary:
            return
        if self._pool.eni_state(eni_id) is EniState.READY:
            self._pool.set_eni_state(eni_id, EniState.DRAINING)
        if self._reconciler is not None:
            self._reconciler.open_closed()

    def _pods_changed(self, checkpoint: CheckpointFile) -> None:
        checkpoint.mark_changed()
        if self._cluster is not None:
            self._cluster.pods_changed()

    def _addresses_came(self) -> None:
        if self._serving is not None:
            self._serving.pods.serve_waiters()
            self._serving.grower.nudge()

    def _links_gone(self, ifindexes: Sequence[int]) -> None:
        self._metrics.reaped.inc(len(ifindexes))
        if self._serving is not None:
            self._serving.pods.links_gone(ifindexes)

    # -- stop -----------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Leave the node as it is and hand over to a successor. Takes less than 5 s."""
        self._stop.set()
        self._health.phase = "stopping"
        self._timing.stopping.set()
        if self._serving is not None:
            # The marker first: a plugin that finds the socket gone must already know that it is worth waiting.
            with _logged("announce the restart"):
                if not self._ownership.is_asked:  # after a hand-back there is nobody to wait for
                    write_marker(self._settings.host.run_dir, until=boottime() + MAX_WAIT_SECONDS)
            self._reach(Step.STOP_ANNOUNCED)
            self._lane.abort_all()
            await self._serving.server.close(_STOP_GRACE_SECONDS)
            self._serving.spool.close()
            await self._serving.grower.stop()
        if self._cluster is not None:
            await self._cluster.stop()
        await self._background.stop()
        if self._serving is not None and self._checkpoint is not None:
            with _logged("write the checkpoint"):
                await self._checkpoint.write()
        if self._network is not None:
            with _logged("let go of the data plane"):
                self._network.close()
            await asyncio.sleep(0)  # takes the reaper's last report, while there is a journal to note it in
        self._serving = None
        if self._journal is not None:
            self._journal.close()
            with _logged("hand the node back"):
                await self._ownership.give_back()
        for face in self._faces:
            await self._loop.run_in_executor(None, face.close)
        self._executor.shutdown(wait=False, cancel_futures=True)
        _log.info("stopped; links, rules and address translation stay as they are")


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """Go on with the stop whatever fails: what comes after matters as much."""
    try:
        yield
    except (OSError, VpcCniError) as err:
        _log.error("while stopping: cannot %s: %s", what, err)
