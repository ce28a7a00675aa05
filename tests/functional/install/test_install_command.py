"""The init container's command as a process, on namespaces of its own."""

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from vpc_cni.install.binaries import CHAINED
from vpc_cni.plugin.build import PLUGIN_NAME, ensure_plugin, read_version
from vpc_cni.plugin.locate import host_architecture

pytestmark = pytest.mark.needs_root

DEMUX = Path("/proc/sys/net/ipv4/tcp_early_demux")
# Debian's folder of containernetworking-plugins.
CHAINED_DIR = Path("/usr/lib/cni")


@dataclass
class Init:
    """Runs the command in a fresh network namespace, whose value of early demux it prints at the end."""

    bin_dir: Path

    def run(
        self, *, prepare: str = ":", chained: Path = CHAINED_DIR, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        command = f'{sys.executable} -m vpc_cni.install --chained "{chained}"'
        return subprocess.run(
            (
                "/usr/bin/unshare",
                "--net",
                "--mount",
                "sh",
                "-c",
                f"{prepare}; {command}; status=$?; cat {DEMUX}; exit $status",
            ),
            env={**os.environ, "HOST_CNI_BIN_PATH": str(self.bin_dir), **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def init(tmp_path: Path) -> Init:
    if not os.access(CHAINED_DIR / "portmap", os.X_OK):
        pytest.skip("the package containernetworking-plugins is not installed")
    ensure_plugin(host_architecture(), version=read_version())
    folder = tmp_path / "bin"
    folder.mkdir()
    return Init(folder)


def test_a_node_is_prepared_once_and_again(init: Init) -> None:
    first = init.run()
    assert (first.returncode, first.stderr) == (0, "")
    assert "installed bandwidth, host-local, loopback, portmap, tuning, aws-cni; 0 of 6 were current" in first.stdout
    assert {path.name for path in init.bin_dir.iterdir()} == {*CHAINED, PLUGIN_NAME}
    again = init.run()
    assert (again.returncode, again.stderr) == (0, "")
    assert "installed nothing; 6 of 6 were current" in again.stdout


def test_what_was_installed_runs(init: Init) -> None:
    init.run()
    for name in (*CHAINED, PLUGIN_NAME):
        done = subprocess.run(
            [init.bin_dir / name],
            env={"CNI_COMMAND": "VERSION"},
            input='{"cniVersion":"0.4.0"}',
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        assert '"0.4.0"' in done.stdout


def test_early_demux_follows_the_setting(init: Init) -> None:
    before = DEMUX.read_text()
    assert init.run(DISABLE_TCP_EARLY_DEMUX="true").stdout.endswith("\nnet.ipv4.tcp_early_demux set to 0\n0\n")
    assert init.run(DISABLE_TCP_EARLY_DEMUX="false").stdout.endswith(" were current\n1\n")
    on_again = init.run(prepare=f"echo 0 >{DEMUX}")
    assert on_again.stdout.endswith("\nnet.ipv4.tcp_early_demux set to 1\n1\n")
    assert DEMUX.read_text() == before, "the namespace of this process is not the one that was prepared"


READ_ONLY = "mount -t proc proc /proc; mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys"


def test_no_privilege_is_needed_where_nothing_must_change(init: Init) -> None:
    """A container without `privileged` has a read-only /proc/sys."""
    done = init.run(prepare=READ_ONLY)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_node_of_the_reference_with_early_demux_off_stops_nobody(init: Init) -> None:
    done = init.run(prepare=f"echo 0 >{DEMUX}; {READ_ONLY}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot set net.ipv4.tcp_early_demux to 1: Read-only file system; left as it is" in done.stdout


def test_a_missing_privilege_is_named(init: Init) -> None:
    done = init.run(prepare=READ_ONLY, DISABLE_TCP_EARLY_DEMUX="true")
    assert done.returncode == 1
    assert done.stderr == (
        "vpc-cni install: cannot set net.ipv4.tcp_early_demux to 0: Read-only file system: run the init container "
        "privileged, or set the value on the host (sysctl) beforehand\n"
    )


def test_a_read_only_host_folder_is_named(init: Init) -> None:
    folder = init.bin_dir
    done = init.run(prepare=f"mount --bind {folder} {folder}; mount -o remount,bind,ro {folder}")
    assert done.returncode == 1
    assert f"cannot write {folder}/.bandwidth.vpc-cni.tmp: Read-only file system: mount" in done.stderr


def test_a_full_host_folder_keeps_what_it_has(init: Init) -> None:
    folder = init.bin_dir
    full = f"mount -t tmpfs -o size=4m tmpfs {folder}; echo old >{folder}/bandwidth"
    done = init.run(prepare=full + f"; trap 'ls -A {folder}; cat {folder}/bandwidth' EXIT")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert done.stdout.endswith("bandwidth\nold\n")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the damaged byte is that of x86-64")
def test_a_program_for_another_processor_is_refused_before_anything_is_written(init: Init, tmp_path: Path) -> None:
    chained = tmp_path / "chained"
    shutil.copytree(CHAINED_DIR, chained)
    with (chained / "tuning").open("r+b") as file:
        file.seek(18)
        file.write(b"\xb7")
    done = init.run(chained=chained)
    assert done.returncode == 1
    assert "tuning is not for x86_64" in done.stderr
    assert list(init.bin_dir.iterdir()) == []


def test_wrong_settings_stop_it_before_anything_is_written(init: Init) -> None:
    done = init.run(ENABLE_IPv6="true", DISABLE_TCP_EARLY_DEMUX="maybe")
    assert done.returncode == 1
    assert "ENABLE_IPv6" in done.stderr
    assert "DISABLE_TCP_EARLY_DEMUX" in done.stderr
    assert list(init.bin_dir.iterdir()) == []
