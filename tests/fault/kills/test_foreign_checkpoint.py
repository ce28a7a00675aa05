"""An ``ipam.json`` that cannot be read, or that EC2 and the kernel do not bear out: nothing is lost or given twice."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fault_agent import NewAgent, wait_until
from fault_runtime import Pinger, Sandbox
from fault_scene import Scene, reference_scene
from fault_stage import Stage
from fault_truth import look_at_kernel

from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

PODS = 5
LONG_COOLDOWN = {"IP_COOLDOWN_PERIOD": "60"}
GOOD = b'{"version":"vpc-cni-ipam/1","allocations":[{"networkName":"aws-cni","containerID":"c0ffee","ifName":"eth0"'
UNREADABLE: Mapping[str, tuple[bytes, str]] = {
    "a version to come": (b'{"version":"vpc-cni-ipam/2","pods":{}}', "roll back to the program that wrote it"),
    "another program's": (b'{"hello":"world"}', "roll back to the program that wrote it"),
    "cut off": (GOOD, "drain this node"),
    "empty": (b"", "drain this node"),
    "noise": (bytes(range(256)), "drain this node"),
    "a list": (b"[]", "drain this node"),
}


@pytest.fixture
def scene(lab: Lab, peer: Netns, new_agent: NewAgent) -> Iterator[Scene]:
    with reference_scene(lab, peer, new_agent, "nft", PODS) as made:
        yield made


def assert_all_answer(stage: Stage) -> None:
    pinger = Pinger(stage.peer)
    silent = [each.pod for each in stage.book.living() if each.address is None or not pinger.reaches(each.address)]
    pinger.close()
    assert silent == []


def quarantines(stage: Stage) -> dict[str, Any]:
    return {each["address"]: each for each in stage.agent.status()["pool"]["quarantine"]}


@pytest.mark.slow(seconds=20)
def test_pods_of_an_unreadable_checkpoint_keep_their_addresses(scene: Scene) -> None:
    """Whose they are is not known, so nobody else gets them; the file is kept, and read once it is put right."""
    stage, pods = scene.stage, scene.stage.book.living()
    checkpoint = stage.agent.run_dir / "ipam.json"
    for name, (content, remedy) in UNREADABLE.items():
        scene.node.forget_us(pods)
        checkpoint.write_bytes(content)
        stage.run(**LONG_COOLDOWN)
        [error] = [each for each in stage.agent.status()["errors"] if each["operation"] == "read the checkpoint"]
        assert remedy in error["hint"], name
        found = quarantines(stage)
        assert {str(pod.address) for pod in pods} <= found.keys(), name
        assert found[str(pods[0].address)]["reason"] == "UnknownOwner"
        assert "when that pod has ended" in found[str(pods[0].address)]["detail"]
        assert content in [kept.read_bytes() for kept in checkpoint.parent.glob("ipam.json.unread-*")], name
        assert_all_answer(stage)
        stage.agent.kill()
    scene.node.forget_us(pods)
    stage.run()
    scene.assert_ours()


def test_an_address_of_unknown_owner_is_used_again_after_its_pod(scene: Scene) -> None:
    stage = scene.stage
    (stage.agent.run_dir / "ipam.json").write_bytes(GOOD)
    stage.run()
    for pod in stage.book.living():
        stage.delete(pod)
    wait_until(lambda: not quarantines(stage), 10, "end of the quarantine")
    stage.add()
    stage.settle()


@pytest.mark.slow(seconds=6)
def test_a_checkpoint_that_is_not_borne_out_costs_only_what_is_wrong_in_it(scene: Scene) -> None:
    stage, node_path = scene.stage, scene.stage.agent.node.netns_path
    fine, not_in_ec2, left_out, other, gone = stage.book.living()
    stage.book.strike(gone)
    gone.netns.close()
    wait_until(lambda: str(gone.address) not in look_at_kernel(node_path).routed, 10, "the end of a pod's link")
    scene.node.write_checkpoint([fine, not_in_ec2, other, gone])
    stage.truth.take_from_ec2(not_in_ec2.address)
    stage.run(**LONG_COOLDOWN)

    held = {pod["container_id"] for pod in stage.agent.status()["pods"]}
    assert held == {each.container_id for each in (fine, not_in_ec2, other)}
    found = quarantines(stage)
    assert found[str(not_in_ec2.address)]["reason"] == "NotInEc2"
    assert "delete the pod" in found[str(not_in_ec2.address)]["detail"]
    assert found[str(left_out.address)]["reason"] == "UnknownOwner"
    assert "when that pod has ended" in found[str(left_out.address)]["detail"]
    cooling = {each["address"] for each in stage.agent.status()["pool"]["cooling_until"]}
    assert str(gone.address) in cooling
    assert [line for line in stage.agent.log_lines() if str(gone.address) in line and "its link is gone" in line]
    for pod in (fine, left_out, other):
        assert Pinger(stage.peer).reaches(pod.address), pod.pod
    # The book refuses an address that is given twice; none of those in doubt may come.
    new = [stage.add(Sandbox.create(f"new-{number}")) for number in range(3)]
    assert not {pod.address for pod in new} & {gone.address, left_out.address, not_in_ec2.address}
    # What the words say to do mends it.
    for pod in (not_in_ec2, left_out):
        stage.delete(pod)
    stage.agent.kill()
    stage.run(IP_COOLDOWN_PERIOD="1")
    stage.settle(timeout_seconds=20)


def test_one_bad_entry_costs_only_itself(scene: Scene) -> None:
    stage, pods = scene.stage, scene.stage.book.living()
    checkpoint = stage.agent.run_dir / "ipam.json"
    document = json.loads(checkpoint.read_text())
    document["allocations"][0]["ipv4"] = "no address"
    checkpoint.write_text(json.dumps(document))
    stage.run()
    held = {pod["container_id"] for pod in stage.agent.status()["pods"]}
    assert held == {pod.container_id for pod in pods[1:]}
    assert [line for line in stage.agent.log_lines() if "allocation 0 is left out" in line]
    assert list(checkpoint.parent.glob("ipam.json.unread-*"))
    assert_all_answer(stage)
