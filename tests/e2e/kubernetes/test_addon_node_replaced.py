"""A node ends and another one gets its name: no ENI of the first one stays."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from cluster_ec2 import connect, detached_of, end_nodes, list_enis
from cluster_objects import end_pods, kubectl, node_is_ready, start_pods, wait_until
from figures_file import Figures

from vpc_cni.lab import Lab, NodeInfo

# As in `addon_lab`. A look follows the one before within two periods, and an ENI must be one period old.
CLEANUP_SECONDS = 5.0
DEADLINE_SECONDS = 3 * CLEANUP_SECONDS + 5.0


@pytest.fixture
def doomed(addon_lab: Lab) -> Iterator[NodeInfo]:
    """Return one more node; whoever has its name at the end goes."""
    node = addon_lab.add_node()
    yield node
    addon_lab.faults.clear()
    if any(each.name == node.name for each in addon_lab.nodes):
        end_nodes(addon_lab, node.name)
    wait_until(lambda: node.name not in kubectl(addon_lab, "get", "nodes"), "the end of the Node object")
    # The garbage collector would do it after a minute.
    selector = f"--field-selector=spec.nodeName={node.name}"
    kubectl(addon_lab, "delete", "pods", "--namespace=kube-system", selector, "--force", "--grace-period=0")


@pytest.mark.timeout(240)
def test_enis_of_a_node_that_ended_are_deleted_and_its_name_is_used_again(
    addon_lab: Lab, doomed: NodeInfo, figures: Figures
) -> None:
    ec2 = connect(addon_lab)
    kept = let_an_eni_outlive(addon_lab, ec2, doomed)
    unattached = let_an_eni_wait_for_its_attachment(addon_lab, ec2, doomed)
    end_pods(addon_lab, "doomed")
    end_nodes(addon_lab, doomed.name)
    ended = time.monotonic()
    assert detached_of(ec2, doomed.instance_id) == {kept, unattached}
    again = addon_lab.add_node(doomed.name)
    assert again.instance_id != doomed.instance_id
    rest = max(DEADLINE_SECONDS - (time.monotonic() - ended), 0.0)
    wait_until(lambda: not detached_of(ec2, doomed.instance_id), "the end of the leaked ENIs", rest)
    figures["leaked_enis_deleted_seconds"] = time.monotonic() - ended
    living = {node.instance_id for node in addon_lab.nodes}
    owners = {eni["Attachment"]["InstanceId"] for eni in list_enis(ec2, status="in-use")}
    assert living <= owners
    assert len(owners - living) == 1, "the control plane's"
    assert node_is_ready(addon_lab, again.name)
    start_pods(addon_lab, "doomed", 2, again.name)
    end_pods(addon_lab, "doomed")


def let_an_eni_outlive(lab: Lab, ec2: Any, node: NodeInfo) -> str:
    """Let the agent attach an ENI, and leave it as one that ended before it had said what shall become of it."""
    start_pods(lab, "doomed", 3, node.name)
    wait_until(lambda: len(lab.node(node.name).enis) == 2, "a second ENI")
    (eni,) = (each for each in lab.node(node.name).enis if each.device_number != 0)
    (described,) = list_enis(ec2, network_interface_id=eni.eni_id)
    wait_until(
        lambda: list_enis(ec2, network_interface_id=eni.eni_id)[0]["Attachment"]["DeleteOnTermination"],
        "the agent's word on it",
    )
    attachment = {"AttachmentId": described["Attachment"]["AttachmentId"], "DeleteOnTermination": False}
    ec2.modify_network_interface_attribute(NetworkInterfaceId=eni.eni_id, Attachment=attachment)
    return eni.eni_id


def let_an_eni_wait_for_its_attachment(lab: Lab, ec2: Any, node: NodeInfo) -> str:
    """Let the agent create an ENI that EC2 takes its time to attach."""
    lab.faults.latency("AttachNetworkInterface", 60.0)
    start_pods(lab, "doomed", 12, node.name)
    wait_until(lambda: detached_of(ec2, node.instance_id), "an ENI that is not attached yet")
    (eni_id,) = detached_of(ec2, node.instance_id)
    return eni_id
