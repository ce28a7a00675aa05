"""The image that tools/build_image.py makes: what is in it, and its programs as a kubelet runs them."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from image_container import Container, Image, read_archive
from live_node import LiveNode, wait_until

from vpc_cni.lab.client import Lab
from vpc_cni.lab.nodes.environment import AgentSurroundings, agent_environment
from vpc_cni.lab.paths import NodePaths

ROOT = Path(__file__).resolve().parents[3]
ARCHIVE = ROOT / "build" / "image" / "vpc-cni.tar"
SIZE_LIMIT, UNPACKED_LIMIT = 27_000_000, 65_000_000
READINESS = ("/app/grpc-health-probe", "-addr=:50051", "-connect-timeout=5s", "-rpc-timeout=5s")

pytestmark = [pytest.mark.image, pytest.mark.needs_root, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Image]:
    """Both images by the last part of their names, built if they are not current."""
    subprocess.run([sys.executable, ROOT / "tools" / "build_image.py", "--output", ARCHIVE], check=True)
    found = read_archive(ARCHIVE, tmp_path_factory.mktemp("image"))
    return {image.name.rpartition("/")[2].partition(":")[0]: image for image in found}


@pytest.fixture
def root(images: Mapping[str, Image]) -> Path:
    return images["amazon-k8s-cni"].root


@pytest.fixture
def contents(root: Path) -> Any:
    return json.loads((root / "usr/share/vpc-cni/contents.json").read_text())


@pytest.fixture
def init(images: Mapping[str, Image], tmp_path: Path) -> Container:
    """The init container, without any capability."""
    (tmp_path / "bin").mkdir()
    return Container(images["amazon-k8s-cni-init"], tmp_path, {"/host/opt/cni/bin": tmp_path / "bin"}, {})


@pytest.fixture
def agent(images: Mapping[str, Image], tmp_path: Path) -> Container:
    """The agent's container, with one capability and a read-only root; no instance metadata is there."""
    mounts = {
        "/host/etc/cni/net.d": tmp_path / "net.d",
        "/host/var/log/aws-routed-eni": tmp_path / "log",
        "/var/run/aws-node": tmp_path / "run",
    }
    for folder in mounts.values():
        folder.mkdir(mode=0o700)
    environ = {"ENABLE_IPv4": "true", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"}
    return Container(images["amazon-k8s-cni"], tmp_path, mounts, environ, ["CAP_NET_ADMIN"])


# Needed by packages of the image, and by nothing that runs in it.
UNUSED = ("pyyaml", "jmespath", "python-dateutil", "six")


def python(container: Container, program: str) -> "subprocess.CompletedProcess[str]":
    return container.run("/opt/vpc-cni/bin/python", "-Ic", program)


# ---- contents -------------------------------------------------------------------------------------------------------


def test_both_images_have_their_names_and_entry_points(images: Mapping[str, Image]) -> None:
    assert {name: image.config["Entrypoint"] for name, image in images.items()} == {
        "amazon-k8s-cni": ["/app/aws-vpc-cni"],
        "amazon-k8s-cni-init": ["/app/aws-vpc-cni-init"],
    }


def test_the_image_is_small(root: Path) -> None:
    unpacked = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir() or path.is_symlink())
    assert ARCHIVE.stat().st_size < SIZE_LIMIT
    assert unpacked < UNPACKED_LIMIT


def test_there_is_no_shell_and_no_way_to_install(root: Path) -> None:
    programs = {
        path.name for folder in ("usr/bin", "usr/sbin", "opt/vpc-cni/bin") for path in (root / folder).iterdir()
    }
    assert {name for name in programs if not name.startswith("python")} == {"vpc-cni"}
    assert list(root.rglob("pip")) + list(root.rglob("ensurepip")) == []


def test_no_file_gains_privileges_and_none_can_be_changed_by_others(root: Path) -> None:
    for path in root.rglob("*"):
        mode = path.lstat().st_mode
        assert not mode & (stat.S_ISUID | stat.S_ISGID), path
        assert path.is_symlink() or not mode & stat.S_IWOTH or path == root / "tmp", path


def test_packages_are_those_of_the_lock(contents: Any) -> None:
    command = [sys.executable, ROOT / "deploy" / "image" / "requirements.py", "vpc-cni[agent]", "--without", *UNUSED]
    pins = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    locked = {line.split()[0] for line in pins.splitlines() if "==" in line}
    found = {f"{name.lower().replace('_', '-')}=={version}" for name, version in contents["python_packages"].items()}
    assert {pin for pin in found if not pin.startswith("vpc-cni==")} == locked


def test_every_debian_package_has_its_licence(root: Path, contents: Any) -> None:
    assert "libnftables1" in contents["debian_packages"]
    for name in contents["debian_packages"]:
        assert (root / "var/lib/dpkg/status.d" / name).is_file()
        assert list((root / "usr/share/doc" / name).glob("copyright")), name


# ---- init container -------------------------------------------------------------------------------------------------


def test_the_init_container_works_without_any_capability(init: Container) -> None:
    for expected in ("installed bandwidth, host-local, loopback, portmap, tuning, aws-cni", "6 of 6 were current"):
        done = init.run()
        assert (done.returncode, done.stderr) == (0, "")
        assert expected in done.stdout


def test_what_it_installed_runs_on_this_machine(init: Container) -> None:
    init.run()
    for path in init.mounts["/host/opt/cni/bin"].iterdir():
        assert os.access(path, os.X_OK)
        environ = {"CNI_COMMAND": "VERSION"}
        text = '{"cniVersion":"0.4.0"}'
        done = subprocess.run([path], env=environ, input=text, capture_output=True, text=True, check=True, timeout=20)
        assert '"0.4.0"' in done.stdout


def test_without_the_hosts_folder_it_fails_with_advice(images: Mapping[str, Image], tmp_path: Path) -> None:
    done = Container(images["amazon-k8s-cni-init"], tmp_path, {}, {"HOST_CNI_BIN_PATH": "/host/elsewhere"}).run()
    assert done.returncode == 1
    assert "mount the host's /opt/cni/bin there" in done.stderr


# ---- agent ----------------------------------------------------------------------------------------------------------


def test_the_agent_starts_read_only_with_one_capability_and_is_probed(agent: Container) -> None:
    with agent.running() as name:

        def probe(*flags: str) -> "subprocess.CompletedProcess[str]":
            return agent.execute(name, *READINESS, *flags)

        wait_until(lambda: "instance metadata" in probe().stderr, 20, "an agent that waits for metadata")
        assert probe().returncode == 4
        assert probe("-service=liveness").returncode == 0
        status = agent.execute(name, "vpc-cni", "node", "status", "--json")
        assert json.loads(status.stdout)["node"]["ready"] is False
        assert "instance metadata" in agent.execute(name, "vpc-cni", "node", "status").stdout
        listed = agent.execute(name, "vpc-cni", "--help").stdout
        left_out = re.findall(r"^\W*([\w-]+) +\(not installed", listed, re.MULTILINE)
        assert left_out == ["addon", "addons", "lab", "self-managed"]
    assert (agent.mounts["/host/var/log/aws-routed-eni"] / "ipamd.log").stat().st_size > 0
    assert list(agent.mounts["/host/etc/cni/net.d"].iterdir()) == [], "not ready: no conflist"


def test_the_agent_refuses_wrong_settings(agent: Container) -> None:
    done = Container(agent.image, agent.folder, agent.mounts, {"ENABLE_PREFIX_DELEGATION": "true"}).run()
    assert done.returncode == 1
    assert "ENABLE_IPv4 is not set" in done.stderr
    assert "ENABLE_PREFIX_DELEGATION" in done.stderr


def test_every_module_of_the_agent_can_be_imported(agent: Container) -> None:
    done = python(
        agent,
        """
import importlib, pkgutil
for package in ("agent", "ec2", "install", "ipam", "model", "netlink", "rpc", "settings"):
    module = importlib.import_module("vpc_cni." + package)
    for found in pkgutil.walk_packages(module.__path__, module.__name__ + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
from vpc_cni.ec2._http import _tls_context
print(len(_tls_context("").get_ca_certs()) > 50)
""",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_nftables_and_links_work_with_one_capability(agent: Container) -> None:
    done = python(
        agent,
        """
from vpc_cni.netlink.nftables import Nftables
from vpc_cni.netlink.route_socket import RouteSocket
nftables = Nftables()
nftables.run("add table ip imagetest; add chain ip imagetest one")
print("imagetest" in nftables.run("list ruleset"))
with RouteSocket.open() as socket:
    print([link.name for link in socket.list_links()])
""",
    )
    assert (done.stderr, done.stdout.split("\n")[0], "'lo'" in done.stdout) == ("", "True", True)


def test_errors_show_our_own_source_lines(agent: Container) -> None:
    done = python(agent, "from vpc_cni.settings import load_install_settings as load; load({'HOST_CNI_BIN_PATH': 'x'})")
    assert "raise ConfigurationError(" in done.stderr


def test_the_agent_of_the_image_serves_a_node_of_the_lab(images: Mapping[str, Image], tmp_path: Path) -> None:
    """EC2, metadata, kernel, plugin: all that an agent does, with nothing but the image's files."""
    with Lab(name=f"image-{os.getpid()}", nodes=1, agents=False) as lab, LiveNode(lab, "node-1") as node:
        paths = NodePaths(Path(node.info.run_dir).parent)
        folders = [paths.run_dir, paths.conf_dir, paths.log_dir]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        around = AgentSurroundings(node.name, "image", "us-west-2", lab.status()["endpoints"]["node_api"], {})
        environ = agent_environment(paths, around)
        del environ["PATH"]
        container = Container(
            images["amazon-k8s-cni"],
            tmp_path,
            {str(folder): folder for folder in folders},
            environ,
            ["CAP_NET_ADMIN"],
            node.info.netns_path,
        )
        with container.running() as name:
            wait_until(lambda: container.execute(name, *READINESS).returncode == 0, 30, "an agent that serves")
            pod = node.sandbox("web-0")
            added = node.call("ADD", pod)
            assert added.exit_code == 0, added.answer
            assert node.call("CHECK", pod, node.config(prevResult=added.answer)).exit_code == 0
            assert (
                "web-0"
                in container.execute(
                    name, "vpc-cni", "node", "status", "--agent", f"{paths.run_dir}/introspect.sock"
                ).stdout
            )
            assert node.call("DEL", pod).exit_code == 0
