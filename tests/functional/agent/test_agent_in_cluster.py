"""A real agent on a lab's node, and an API server that appears after it has started."""

import ctypes
import datetime
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from tests.unit.kube.conftest import TOKEN, ApiServer
from vpc_cni.agent.kubernetes import ANNOTATION
from vpc_cni.cli._introspection import AgentAddress, fetch_json
from vpc_cni.errors import VpcCniError
from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.pki import Authority, Subject

_CLONE_NEWNET = 0x40000000
_PORT = 16443


def serve_inside(netns_path: str, make: Callable[[], ApiServer]) -> ApiServer:
    """Make a server whose socket belongs to another network namespace: a socket stays where it was opened."""

    def enter_and_make() -> ApiServer:
        fd = os.open(netns_path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            assert ctypes.CDLL(None, use_errno=True).setns(fd, _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        finally:
            os.close(fd)
        return make()

    with ThreadPoolExecutor(1) as thread:  # the thread, which is in the wrong place now, ends here
        return thread.submit(enter_and_make).result()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority(datetime.datetime.now(datetime.UTC))


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a path without a file."""
    return tmp_path_factory.mktemp("kubeconfig") / "config"


def write_kubeconfig(path: Path, authority: Authority) -> None:
    (path.parent / "ca.crt").write_bytes(authority.pair.certificate)
    cluster = {"server": f"https://127.0.0.1:{_PORT}", "certificate-authority": "ca.crt"}
    document = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(document))


@pytest.fixture(scope="module")
def lab(kubeconfig: Path) -> Iterator[Lab]:
    # Without warm addresses each pod is a growth, which a cordon stops.
    env = {"VPC_CNI_KUBECONFIG": str(kubeconfig), "ANNOTATE_POD_IP": "true", "VPC_CNI_ADD_WAIT_SECONDS": "2"}
    env |= {"WARM_IP_TARGET": "1", "IP_COOLDOWN_PERIOD": "1"}
    with Lab(name=f"incluster-{os.getpid()}", nodes=1, env=env) as running:
        yield running


@pytest.fixture(scope="module")
def server(
    lab: Lab, kubeconfig: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServer]:
    identity = authority.issue(Subject("api", addresses=(IPv4Address("127.0.0.1"),)))
    made = serve_inside(lab.netns_path("node-1"), lambda: ApiServer(identity, tmp_path_factory.mktemp("api"), _PORT))
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    write_kubeconfig(kubeconfig, authority)
    yield made
    made.stop()
    thread.join(5)


def test_pods_start_without_a_kubeconfig_and_an_api_server_which_are_taken_up_when_they_come(
    lab: Lab, kubeconfig: Path, request: pytest.FixtureRequest
) -> None:
    (before,) = lab.add_pods(1)
    status: Any = fetch_json(AgentAddress(path=f"{lab.node('node-1').run_dir}/introspect.sock"), "/v1/status")
    assert [each["message"] for each in status["errors"]] == [f"{kubeconfig}: No such file or directory"]
    server: ApiServer = request.getfixturevalue("server")
    server.put("nodes", node_document())
    server.put("pods", {"metadata": {"name": before.name, "namespace": "default"}}, namespace="default")
    came(server, lambda: server.watches > 0)
    came(server, lambda: "annotations" in server.objects["pods", "default", before.name]["metadata"])
    annotations = server.objects["pods", "default", before.name]["metadata"]["annotations"]
    assert annotations == {ANNOTATION: str(before.address)}


def test_the_pool_of_a_cordoned_node_stays_as_it_is_and_pods_are_told(lab: Lab, server: ApiServer) -> None:
    server.put("nodes", node_document(cordoned=True))
    for number in range(40):
        name = f"late-{number}"
        server.put("pods", {"metadata": {"name": name, "namespace": "default", "uid": name}}, namespace="default")
    with pytest.raises(VpcCniError, match="cordoned"):
        fill(lab)
    came(server, lambda: "ProvisioningOff" in reasons(server))
    server.put("nodes", node_document())
    assert starts(lab, "after") or starts(lab, "after-all"), "the agent has heard of it within a try"


def fill(lab: Lab) -> None:
    """Add pods until there is no address for the next one."""
    for number in range(40):
        lab.add_pod(name=f"late-{number}")


def node_document(*, cordoned: bool = False) -> dict[str, Any]:
    spec = {"unschedulable": True} if cordoned else {}
    return {"metadata": {"name": "node-1"}, "spec": spec, "status": {"allocatable": {"pods": "29"}}}


def came(server: ApiServer, holds: Callable[[], bool]) -> None:
    """Wait for what the agent brings about; it looks for a server that was away every 30 s at the latest."""
    with server.changed:
        assert server.changed.wait_for(holds, 40), "it did not happen"


def reasons(server: ApiServer) -> set[str]:
    return {document["reason"] for (plural, _, _), document in server.objects.items() if plural == "events"}


def starts(lab: Lab, name: str) -> bool:
    try:
        lab.add_pod(name=name)
    except VpcCniError:
        return False
    return True
