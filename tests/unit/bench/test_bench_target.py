"""What plugins read and print, as the bench sees it."""

import json
import os

import pytest

from bench.node import first_plugin
from bench.processes import cpu_seconds, process_tree, pss_mib
from bench.target import encode_config, host_link_of, pod_address_of
from bench.tmpfs import find_tmpfs
from vpc_cni.errors import HostError

RESULT = b"""{
  "cniVersion": "0.4.0",
  "interfaces": [
    {"name": "eni0a1b", "mac": "02:00:00:00:00:01"},
    {"name": "eth0", "sandbox": "/run/netns/x"},
    {"name": "dummyeni0a1b", "mac": "0", "sandbox": "0"}
  ],
  "ips": [{"version": "4", "address": "10.0.3.9/32", "interface": 1}]
}
"""


def test_host_link_is_the_interface_outside_of_the_sandbox() -> None:
    assert host_link_of(RESULT) == "eni0a1b"


def test_pod_address_is_without_prefix_length() -> None:
    assert pod_address_of(RESULT) == "10.0.3.9"


def test_config_for_del_carries_the_result_of_add() -> None:
    config = {"cniVersion": "0.4.0", "name": "n", "type": "t"}
    assert json.loads(encode_config(config)) == config
    assert json.loads(encode_config(config, RESULT)) == {**config, "prevResult": json.loads(RESULT)}


def test_first_plugin_gets_name_and_version_of_the_list() -> None:
    conflist = {
        "cniVersion": "0.4.0",
        "name": "aws-cni",
        "plugins": [{"type": "aws-cni", "mtu": "9001", "capabilities": {"x": True}}, {"type": "portmap"}],
    }
    assert first_plugin(conflist) == {"cniVersion": "0.4.0", "name": "aws-cni", "type": "aws-cni", "mtu": "9001"}


def test_tmpfs_is_the_first_candidate_that_is_one() -> None:
    mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n"
    assert str(find_tmpfs(mounts)) == "/dev/shm"


def test_no_tmpfs_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(HostError, match="mount -t tmpfs"):
        find_tmpfs("/dev/vda / ext4 rw 0 0\n")


def test_processes_of_this_machine_can_be_read() -> None:
    assert os.getpid() in process_tree(os.getppid())
    assert pss_mib(os.getpid()) > 1
    assert cpu_seconds(os.getpid()) >= 0


def test_process_that_is_gone_is_an_error() -> None:
    with pytest.raises(HostError, match="end during the run"):
        cpu_seconds(2**22 + 1)
