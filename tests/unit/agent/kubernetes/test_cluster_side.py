"""The agent's side of its cluster against a real TLS server that comes and goes."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from ipaddress import IPv4Address
from typing import Any

import pytest

from vpc_cni.agent.clock import boottime
from vpc_cni.agent.errors_seen import ErrorsSeen
from vpc_cni.agent.kubernetes import ANNOTATION, ClusterOptions, ClusterSide, NodeView, PodAddress
from vpc_cni.agent.waiting import Waiter, WaitingLane
from vpc_cni.errors import AccessDeniedError, CapacityError, CloudError, Shortage
from vpc_cni.kube import KubeClient
from vpc_cni.model import PodIdentity, SandboxKey

Json = dict[str, Any]
FULL = CapacityError("subnet-1 is full", shortage=Shortage.SUBNET_FULL, hint="add a subnet")


class Scene:
    """An agent's parts around its cluster side; ``pods`` is what the pool would say."""

    def __init__(self, client: KubeClient, *, annotate: bool = True) -> None:
        self.pods: dict[SandboxKey, PodAddress] = {}
        self.errors = ErrorsSeen()
        self.views: asyncio.Queue[NodeView] = asyncio.Queue()
        options = ClusterOptions("node-1", "aws-node-x", "kube-system", annotate_pods=annotate)
        self.side = ClusterSide(
            client,
            options,
            pods=lambda: dict(self.pods),
            on_view=self.views.put_nowait,
            errors=self.errors,
            clock=boottime,
        )
        self.errors.tell(self.side.saw_error)

    def add_pod(self, name: str, address: str, *, uid: str = "") -> SandboxKey:
        key = SandboxKey("aws-cni", f"c-{name}-{address}", "eth0")
        self.pods[key] = PodAddress(PodIdentity("shop", name, uid), IPv4Address(address))
        self.side.pods_changed()
        return key

    def remove_pod(self, key: SandboxKey) -> None:
        del self.pods[key]
        self.side.pods_changed()


Play = Callable[[Scene], Coroutine[Any, Any, None]]


@pytest.fixture
def play(client: KubeClient, server: Any) -> Callable[[Play], None]:
    """Run a scene on a loop, started and stopped as the agent does."""

    async def run(scenario: Play) -> None:
        scene = Scene(client)
        scene.side.start()
        try:
            await asyncio.wait_for(scenario(scene), 20)
        finally:
            await asyncio.wait_for(scene.side.stop(), 5)

    return lambda scenario: asyncio.run(run(scenario))


def put_pod(server: Any, name: str, uid: str = "u1") -> None:
    server.put("pods", {"metadata": {"name": name, "namespace": "shop", "uid": uid}}, namespace="shop")


def events(server: Any) -> list[Json]:
    return [each for (plural, _, _), each in server.objects.items() if plural == "events"]


def annotation(server: Any, name: str) -> str | None:
    value = server.objects["pods", "shop", name]["metadata"].get("annotations", {}).get(ANNOTATION)
    assert value is None or isinstance(value, str)
    return value


async def until(server: Any, holds: Callable[[], bool]) -> None:
    await asyncio.to_thread(server.until, holds)


def test_a_cordon_is_seen_and_lifted(play: Callable[[Play], None], server: Any, node: Callable[..., Json]) -> None:
    server.put("nodes", node())

    async def scenario(scene: Scene) -> None:
        assert await scene.views.get() == NodeView(is_known=True, unschedulable=False, max_pods=29)
        server.put("nodes", node(cordoned=True))
        assert (await scene.views.get()).unschedulable
        server.put("nodes", node(pods="8"))
        assert await scene.views.get() == NodeView(is_known=True, unschedulable=False, max_pods=8)
        server.drop("nodes", "node-1")
        assert await scene.views.get() == NodeView()
        assert scene.side.node == NodeView()

    play(scenario)


def test_a_pod_that_gets_no_address_has_an_event_with_the_reason(play: Callable[[Play], None], server: Any) -> None:
    put_pod(server, "web", uid="from-the-server")

    async def scenario(scene: Scene) -> None:
        lane = WaitingLane(limit=10, patience_seconds=40)
        lane.on_shortage = scene.side.pod_without_address
        lane.enter(Waiter(SandboxKey("aws-cni", "c1", "eth0"), PodIdentity("shop", "web"), 0, 60))
        for moment in range(50):  # each plan says it again
            lane.growth_failed(FULL, moment, unmet=1, can_come=True)
        await until(server, lambda: bool(events(server)))

    play(scenario)
    (event,) = events(server)
    assert (event["reason"], event["type"], event["count"]) == ("SubnetFull", "Warning", 1)
    assert event["message"] == "subnet-1 is full: add a subnet"
    assert event["involvedObject"]["uid"] == "from-the-server", "kubectl describe selects by it"
    assert (event["metadata"]["namespace"], event["source"]["host"]) == ("shop", "node-1")


def test_an_event_about_a_pod_that_is_gone_is_dropped(play: Callable[[Play], None], server: Any) -> None:
    put_pod(server, "here")

    async def scenario(scene: Scene) -> None:
        scene.side.pod_without_address(PodIdentity("shop", "gone"), FULL)
        scene.side.pod_without_address(PodIdentity("shop", "here"), FULL)
        await until(server, lambda: bool(events(server)))
        assert scene.errors.as_json() == []

    play(scenario)
    assert [each["involvedObject"]["name"] for each in events(server)] == ["here"]


def test_a_missing_iam_permission_is_told_by_the_agents_own_pod(play: Callable[[Play], None], server: Any) -> None:
    server.put("pods", {"metadata": {"name": "aws-node-x", "uid": "me"}}, namespace="kube-system")

    async def scenario(scene: Scene) -> None:
        denied = AccessDeniedError("not allowed", operation="CreateNetworkInterface", hint="allow it")
        scene.errors.add("CreateNetworkInterface", denied)
        scene.errors.add("other", FULL)
        await until(server, lambda: bool(events(server)))

    play(scenario)
    (event,) = events(server)
    assert (event["reason"], event["action"]) == ("MissingIAMPermissions", "ec2:CreateNetworkInterface")
    assert event["involvedObject"]["uid"] == "me"


def test_a_role_that_does_not_trust_the_pod_is_told_as_the_cause_of_calls_that_are_not_sent(
    play: Callable[[Play], None], server: Any
) -> None:
    server.put("pods", {"metadata": {"name": "aws-node-x", "uid": "me"}}, namespace="kube-system")

    async def scenario(scene: Scene) -> None:
        unsent = CloudError("not sent: no credentials", operation="DescribeNetworkInterfaces")
        unsent.__cause__ = AccessDeniedError("not trusted", operation="AssumeRoleWithWebIdentity", hint="allow it")
        scene.errors.add("DescribeNetworkInterfaces", unsent)
        await until(server, lambda: bool(events(server)))

    play(scenario)
    (event,) = events(server)
    assert (event["reason"], event["action"]) == ("MissingIAMPermissions", "sts:AssumeRoleWithWebIdentity")
    assert "not trusted" in event["message"]


def test_pods_without_names_and_a_stopping_agent_make_no_events(play: Callable[[Play], None], server: Any) -> None:
    put_pod(server, "web")

    async def scenario(scene: Scene) -> None:
        scene.side.pod_without_address(PodIdentity(), FULL)
        stopping = CapacityError("its DEL came", shortage=Shortage.STOPPING)
        scene.side.pod_without_address(PodIdentity("shop", "web"), stopping)
        scene.side.pod_without_address(
            PodIdentity("shop", "web", "u1"), CapacityError("resting", shortage=Shortage.COOLING)
        )
        await until(server, lambda: bool(events(server)))

    play(scenario)
    assert [(each["reason"], each["type"]) for each in events(server)] == [("Cooling", "Normal")]


def test_annotations_follow_the_pods(play: Callable[[Play], None], server: Any) -> None:
    for name in ("web", "job", "db-0"):
        put_pod(server, name)

    async def scenario(scene: Scene) -> None:
        scene.add_pod("web", "10.0.0.4")
        job = scene.add_pod("job", "10.0.0.5", uid="u1")
        scene.add_pod("ghost", "10.0.0.6")  # deleted meanwhile: no obstacle for the others
        first = scene.add_pod("db-0", "10.0.0.7")
        await until(server, lambda: annotation(server, "db-0") == "10.0.0.7")
        scene.remove_pod(job)
        scene.remove_pod(first)
        scene.add_pod("db-0", "10.0.0.8")  # its sandbox was made anew
        await until(server, lambda: annotation(server, "db-0") == "10.0.0.8" and annotation(server, "job") == "")
        assert scene.errors.as_json() == []

    play(scenario)
    assert annotation(server, "web") == "10.0.0.4"


def test_an_annotation_that_somebody_else_changed_is_not_emptied(play: Callable[[Play], None], server: Any) -> None:
    put_pod(server, "web")
    put_pod(server, "last")

    async def scenario(scene: Scene) -> None:
        web = scene.add_pod("web", "10.0.0.4")
        await until(server, lambda: annotation(server, "web") == "10.0.0.4")
        document = server.objects["pods", "shop", "web"]
        document["metadata"]["annotations"][ANNOTATION] = "10.9.9.9"
        scene.remove_pod(web)
        scene.add_pod("last", "10.0.0.5")
        await until(server, lambda: annotation(server, "last") == "10.0.0.5")

    play(scenario)
    assert annotation(server, "web") == "10.9.9.9"


def test_the_successor_of_a_statefulset_pod_is_left_alone(play: Callable[[Play], None], server: Any) -> None:
    put_pod(server, "db-0", uid="new")
    put_pod(server, "last")

    async def scenario(scene: Scene) -> None:
        scene.add_pod("db-0", "10.0.0.4", uid="old")
        scene.add_pod("last", "10.0.0.5")
        await until(server, lambda: annotation(server, "last") == "10.0.0.5")

    play(scenario)
    assert annotation(server, "db-0") is None


def test_everything_is_made_up_for_when_the_server_is_back(
    play: Callable[[Play], None], server: Any, node: Callable[..., Json]
) -> None:
    server.put("nodes", node())
    put_pod(server, "web")
    away = [lambda handler: handler.cut()] * 3

    async def scenario(scene: Scene) -> None:
        await scene.views.get()
        await until(server, lambda: server.watches == 1)
        server.faults["other"] += away
        server.faults["watch"] += away
        scene.add_pod("web", "10.0.0.4")
        scene.side.pod_without_address(PodIdentity("shop", "web", "u1"), FULL)
        server.put("nodes", node(cordoned=True))
        assert (await scene.views.get()).unschedulable
        await until(server, lambda: annotation(server, "web") == "10.0.0.4" and bool(events(server)))

    play(scenario)


def test_a_missing_permission_for_annotations_is_reported_and_stops_nothing_else(
    play: Callable[[Play], None], server: Any, node: Callable[..., Json]
) -> None:
    put_pod(server, "web")
    server.put("nodes", node())
    server.faults["other"].append(lambda handler: handler.refuse(403, "Forbidden", "no"))

    async def scenario(scene: Scene) -> None:
        scene.add_pod("web", "10.0.0.4")
        assert (await scene.views.get()).is_known
        await until(server, lambda: annotation(server, "web") == "10.0.0.4")
        (error,) = scene.errors.as_json()
        assert error["operation"] == "annotate pod"
        assert error["hint"] == 'give ClusterRole aws-node the verb "patch" on "pods"'

    play(scenario)


def test_an_agent_whose_server_never_answers_stops_at_once(access: Any, server: Any, timing: Any) -> None:
    stopped = threading.Event()
    server.faults["list"].append(lambda handler: (stopped.wait(10), handler.cut()))

    async def scenario() -> None:
        scene = Scene(KubeClient(access, timing=timing))
        scene.side.start()
        await asyncio.to_thread(server.until, lambda: bool(server.seen))
        await asyncio.wait_for(scene.side.stop(), 2)

    asyncio.run(scenario())
    stopped.set()
