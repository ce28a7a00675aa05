"""The lab as a process: up, down, crash, pods through Debian's plugins, EC2 from the machine, faults."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from vpc_cni.errors import CallerError, HostError
from vpc_cni.lab import Lab
from vpc_cni.lab.paths import lab_paths
from vpc_cni.lab.statefile import read_state

NAME = f"t-{os.getpid()}"


@pytest.fixture(scope="module")
def lab():
    """Two bare nodes whose pods get addresses of a delegated prefix from Debian's ptp and host-local."""
    with Lab(name=NAME, agents=False) as lab:
        for node in lab.nodes:
            prefix = assign_prefix(lab, node)
            configure_ptp(node, prefix)
        yield lab


def ec2_client(lab):
    variables = lab.environment()
    return boto3.client(
        "ec2",
        endpoint_url=variables["AWS_ENDPOINT_URL_EC2"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}),
    )


def assign_prefix(lab, node):
    answer = ec2_client(lab).assign_private_ip_addresses(NetworkInterfaceId=node.enis[0].eni_id, Ipv4PrefixCount=1)
    return answer["AssignedIpv4Prefixes"][0]["Ipv4Prefix"]


def configure_ptp(node, prefix):
    ipam = {"type": "host-local", "subnet": prefix, "dataDir": f"{node.run_dir}/ipam", "routes": [{"dst": "0.0.0.0/0"}]}
    plugins = [
        {"type": "ptp", "mtu": 9001, "ipam": ipam},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    conflist = {"cniVersion": "0.4.0", "name": "bare", "plugins": plugins}
    Path(node.conflist_path).write_text(json.dumps(conflist))


def test_status_has_what_other_drivers_need(lab):
    node = lab.status()["nodes"][0]
    assert {"name", "netns_path", "plugin_dir", "conflist_path", "socket_path", "agent_pid"} <= node.keys()
    assert os.stat(node["netns_path"]).st_ino != os.stat("/proc/self/ns/net").st_ino
    assert os.access(Path(node["plugin_dir"]) / "aws-cni", os.X_OK)
    assert node["agent_pid"] is None


def test_pods_of_standard_plugins_get_addresses_of_the_vpc_and_reach_each_other(lab):
    here, there = lab.add_pod("node-1"), lab.add_pod("node-2")
    assert lab.run(here.name, ["ping", "-c1", "-W2", there.address]).returncode == 0
    assert (here.device_number, here.eni_id) == (0, lab.node("node-1").enis[0].eni_id)
    lab.delete_pod(here.name, there.name)
    assert lab.pods == ()
    assert not os.path.exists(here.netns_path)


def test_several_pods_are_added_at_once_in_turn_on_all_nodes(lab):
    pods = lab.add_pods(4)
    assert sorted(pod.node for pod in pods) == ["node-1", "node-1", "node-2", "node-2"]
    assert len({pod.address for pod in pods}) == 4
    assert all(pod.add_ms > 0 for pod in pods)
    lab.delete_pod(*(pod.name for pod in pods))


def test_a_named_pod_can_be_made_again_after_its_end_but_not_before(lab):
    lab.add_pod("node-1", name="web-0")
    with pytest.raises(CallerError, match="web-0"):
        lab.add_pod("node-2", name="web-0")
    lab.delete_pod("web-0")
    assert lab.add_pod("node-2", name="web-0").node == "node-2"
    lab.delete_pod("web-0")


def test_a_failed_add_leaves_no_pod_and_tells_the_plugins_words(lab):
    node = lab.node("node-1")
    kept = Path(node.conflist_path).read_text()
    Path(node.conflist_path).write_text(kept.replace('"mtu": 9001', '"mtu": "many"'))
    try:
        with pytest.raises(HostError, match="ptp ADD failed"):
            lab.add_pod("node-1", name="broken")
        assert lab.pods == ()
    finally:
        Path(node.conflist_path).write_text(kept)
    lab.add_pod("node-1", name="broken")
    lab.delete_pod("broken")


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda lab: lab.add_pod("node-9"), "node-9"),
        (lambda lab: lab.delete_pod("nobody"), "nobody"),
        (lambda lab: lab.run("nobody", ["true"]), "nobody"),
        (lambda lab: lab.call("fly"), "fly"),
        (lambda lab: lab.call("fault_add", kind="flood"), "flood"),
        (lambda lab: lab.faults.clear(99), "99"),
        (lambda lab: lab.faults.link_down("node-1", device=7), "device number 7"),
        (lambda lab: lab.kill_agent("node-1"), "no agent"),
        (lambda lab: lab.call("pod_add", count=0), "0 pods"),
        (lambda lab: lab.call("pod_add", count="x"), "count"),
    ],
    ids=["node", "pod", "place", "operation", "fault", "fault number", "device", "agent", "count", "no number"],
)
def test_wrong_arguments_are_named(lab, work, words):
    with pytest.raises(CallerError, match=words):
        work(lab)


def test_metadata_tells_each_node_who_it_is(lab):
    for node in lab.nodes:
        script = (
            "T=$(curl -sf -m 3 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' 169.254.169.254/latest/api/token); "
            'curl -sf -m 3 -H "X-aws-ec2-metadata-token: $T" 169.254.169.254/latest/meta-data/instance-id'
        )
        assert lab.run(node.name, ["sh", "-c", script]).stdout == node.instance_id


def test_an_eni_attached_through_the_api_appears_in_the_node(lab):
    ec2, node = ec2_client(lab), lab.node("node-2")
    eni_id = ec2.create_network_interface(SubnetId=node.subnet_id)["NetworkInterface"]["NetworkInterfaceId"]
    attachment = ec2.attach_network_interface(NetworkInterfaceId=eni_id, InstanceId=node.instance_id, DeviceIndex=1)
    wait_until(lambda: lab.run("node-2", ["ip", "link", "show", "ens6"]).returncode == 0)
    ec2.detach_network_interface(AttachmentId=attachment["AttachmentId"])
    wait_until(lambda: lab.run("node-2", ["ip", "link", "show", "ens6"]).returncode != 0)
    ec2.delete_network_interface(NetworkInterfaceId=eni_id)


def test_faults_are_listed_and_cleared(lab):
    ec2, node = ec2_client(lab), lab.node("node-1")
    number = lab.faults.error("CreateNetworkInterface", "InternalError", times=1)
    with pytest.raises(ClientError, match="InternalError"):
        ec2.create_network_interface(SubnetId=node.subnet_id)
    assert number not in [fault["number"] for fault in lab.faults.active()]
    full = lab.faults.subnet_full("node-1")
    with pytest.raises(ClientError, match="InsufficientFreeAddressesInSubnet"):
        ec2.create_network_interface(SubnetId=node.subnet_id)
    down = lab.faults.link_down("node-1")
    assert [fault["number"] for fault in lab.faults.active()] == [full, down]
    assert "NO-CARRIER" in lab.run("node-1", ["ip", "link", "show", "ens5"]).stdout
    assert lab.faults.clear() == 2
    assert lab.faults.active() == []
    assert lab.run("node-1", ["ping", "-c1", "-W2", lab.node("node-2").address]).returncode == 0


def test_the_control_socket_is_for_its_owner(lab):
    mode = lab_paths(NAME).control_socket.stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_second_lab_of_the_name_is_refused_and_another_name_is_not(lab):
    with pytest.raises(CallerError, match="already up"):
        Lab(name=NAME, agents=False).up()
    with Lab(name=f"{NAME}-b", agents=False, nodes=1) as other:
        assert other.pid != lab.pid
    assert len(lab.nodes) == 2


def test_a_node_can_be_added_later(lab):
    node = lab.add_node()
    assert node.name == "node-3"
    assert lab.run("node-1", ["ping", "-c1", "-W2", node.address]).returncode == 0


def test_a_terminated_instance_ends_its_node():
    with Lab(name=f"{NAME}-g", agents=False, nodes=2) as lab:
        node = lab.node("node-1")
        inode = os.stat(node.netns_path).st_ino
        ec2_client(lab).terminate_instances(InstanceIds=[node.instance_id])
        wait_until(lambda: [each.name for each in lab.nodes] == ["node-2"])
        wait_until(lambda: not os.path.exists(node.netns_path))
        wait_until(lambda: not namespaces_in_use({inode}))
        assert lab.add_node().name == "node-3"


def test_the_name_of_a_node_that_ended_may_be_used_again():
    with Lab(name=f"{NAME}-h", agents=False, nodes=2) as lab:
        old = lab.node("node-2")
        kept = Path(old.run_dir) / "kept"
        kept.touch()
        with pytest.raises(CallerError, match="exists"):
            lab.add_node("node-2")
        ec2_client(lab).terminate_instances(InstanceIds=[old.instance_id])
        new = lab.add_node("node-2")
        assert (new.name, new.subnet_id) == ("node-2", old.subnet_id)
        assert new.instance_id != old.instance_id
        assert not kept.exists()
        with pytest.raises(CallerError, match="no name for a node"):
            lab.add_node("../up")


def test_down_leaves_nothing_and_may_be_repeated():
    lab = Lab(name=f"{NAME}-c", agents=False, nodes=1)
    lab.up()
    pid = lab.pid
    inodes = {os.stat(node.netns_path).st_ino for node in lab.nodes}
    lab.down()
    # Buried by process 1, in its own time.
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert not lab_paths(f"{NAME}-c").root.exists()
    # The number of a namespace that is gone may belong to another one for a moment.
    wait_until(lambda: not namespaces_in_use(inodes))
    lab.down()


def test_a_killed_lab_leaves_a_folder_which_the_next_one_clears():
    name = f"{NAME}-d"
    lab = Lab(name=name, nodes=2, agents=False)
    lab.up()
    configure_ptp(lab.nodes[0], assign_prefix(lab, lab.nodes[0]))
    lab.add_pod("node-1")
    inodes = {os.stat(place.netns_path).st_ino for place in (*lab.nodes, *lab.pods)}
    children = child_processes(lab.pid)
    os.kill(lab.pid, signal.SIGKILL)
    paths = lab_paths(name)
    wait_until(lambda: read_state(paths) is None)
    wait_until(lambda: not namespaces_in_use(inodes))
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children))
    assert name not in Path("/proc/self/mountinfo").read_text()
    assert paths.root.exists()
    lines = []
    with Lab(name=name, nodes=1, agents=False, on_progress=lines.append) as again:
        assert len(again.nodes) == 1
    assert any("left behind" in line for line in lines)
    assert not paths.root.exists()


NOEXEC_SCRIPT = """
mount --make-rprivate / && mount -t tmpfs -o noexec,nosuid,nodev tmpfs "$1" && exec "$2" -c "
from vpc_cni.lab import Lab
with Lab(name='x', nodes=1) as lab:
    print(lab.add_pod('node-1').address)
"
"""


def test_programs_run_where_the_file_system_of_the_run_folder_forbids_them(tmp_path_factory):
    folder = tmp_path_factory.mktemp("x")  # a short name: below it lie sockets
    command = ["unshare", "--mount", "sh", "-c", NOEXEC_SCRIPT, "sh", str(folder), sys.executable]
    environment = {**os.environ, "VPC_CNI_LAB_DIR": str(folder / "labs")}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("10.0.")


def test_a_start_that_fails_says_why_and_leaves_no_process():
    lab = Lab(name=f"{NAME}-e", nodes=1, instance_type="t9.colossal", agents=False)
    with pytest.raises(CallerError, match=r"t9\.colossal"):
        lab.up()
    assert read_state(lab_paths(f"{NAME}-e")) is None
    lab.down()
    assert not lab_paths(f"{NAME}-e").root.exists()


def test_two_labs_of_one_name_at_once_end_as_one(tmp_path):
    script = f"from vpc_cni.lab import Lab; Lab(name='{NAME}-f', agents=False, nodes=1).up()"

    def start(_number):
        return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(start, range(2)))
    try:
        assert sorted(each.returncode for each in ended) == [0, 1]
        assert "already up" in "".join(each.stderr for each in ended)
    finally:
        Lab(name=f"{NAME}-f").down()


def namespaces_in_use(inodes):
    """Return those network namespaces in which a process lives or which a mount keeps."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(os.stat(entry).st_ino)
        except OSError:
            continue
    return {inode for inode in inodes if inode in found}


def child_processes(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
