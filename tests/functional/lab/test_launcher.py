"""The launcher: one namespace, one capability, and death with the parent."""

import os
import subprocess
import sys
import time
from pathlib import Path

from vpc_cni.lab import launcher
from vpc_cni.lab.nodes.agent import launcher_command
from vpc_cni.netlink.netns import Netns

SHOW = "import os; print(open('/proc/self/status').read()); print(os.readlink('/proc/self/ns/net'))"
CAP_NET_ADMIN_ALONE = f"{1 << 12:016x}"


def netns_file(netns):
    return Path(f"/proc/{os.getpid()}/fd/{netns.fd}")


def test_the_program_has_net_admin_alone_and_the_given_namespace():
    with Netns.create() as netns:
        command = launcher_command(netns_file(netns), [sys.executable, "-c", SHOW])
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        status = dict(line.split(":\t", 1) for line in said.splitlines() if ":\t" in line)
        assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd")} == {CAP_NET_ADMIN_ALONE}
        assert status["CapInh"] == status["CapAmb"] == f"{0:016x}"
        assert status["NoNewPrivs"] == "1"
        assert status["Uid"].split()[0] == "0"
        assert said.splitlines()[-1] == f"net:[{netns.inode}]"


def test_the_program_dies_with_its_parent():
    starter = (
        "import subprocess, sys, time\n"
        "from vpc_cni.lab.nodes.agent import launcher_command\n"
        "child = subprocess.Popen(launcher_command('/proc/self/ns/net', ['/bin/sleep', '60']))\n"
        "print(child.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    wait_until(lambda: "sleep" in Path(f"/proc/{child}/cmdline").read_text())
    parent.kill()
    parent.wait()
    wait_until(lambda: is_gone(child))


def test_a_program_whose_parent_is_gone_already_does_not_start():
    ended = subprocess.run(
        [sys.executable, "-I", "-S", launcher.__file__, "/proc/self/ns/net", "1", "/bin/true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert "ended before" in ended.stderr


def is_gone(pid):
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


def wait_until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
