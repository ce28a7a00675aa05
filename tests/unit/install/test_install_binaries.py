"""Binaries reach the host whole or not at all."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vpc_cni.errors import HostError
from vpc_cni.install import Binary, find_binaries, install_binaries
from vpc_cni.install.binaries import CHAINED


def program(text: str, *, machine: int = 62) -> bytes:
    """Return what begins as an ELF file of a processor does."""
    return b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little") + text.encode()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A folder with all binaries of the image: the plugin beside the chained ones."""
    folder = tmp_path / "image"
    folder.mkdir()
    for name in (*CHAINED, "aws-cni", "dhcp"):
        (folder / name).write_bytes(program(name))
    return folder


@pytest.fixture
def host(tmp_path: Path) -> Path:
    folder = tmp_path / "host"
    folder.mkdir()
    return folder


def find(image: Path, arch: str = "x86_64") -> tuple[Binary, ...]:
    return find_binaries(image / "aws-cni", image, arch=arch)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_all_binaries_are_found_and_no_others(image: Path) -> None:
    assert [each.name for each in find(image)] == [*CHAINED, "aws-cni"]


@pytest.mark.parametrize("name", [*CHAINED, "aws-cni"])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (None, "missing"),
        (b"", r"no program \(0 bytes\)"),
        (b"\x7fELF", r"no program \(4 bytes\)"),
        (b"#!/bin/sh\nexit 0 # long enough\n", "no program"),
        (program("other", machine=183), "not for x86_64"),
    ],
    ids=["missing", "empty", "cut", "script", "arm64"],
)
def test_a_damaged_image_is_refused(image: Path, name: str, damage: bytes | None, words: str) -> None:
    (image / name).unlink()
    if damage is not None:
        (image / name).write_bytes(damage)
    with pytest.raises(HostError, match=rf"{name}.*{words}.*this image is damaged"):
        find(image)


def test_a_folder_in_place_of_a_binary_is_refused(image: Path) -> None:
    (image / "portmap").unlink()
    (image / "portmap").mkdir()
    with pytest.raises(HostError, match="portmap is missing or no file"):
        find(image)


def test_binaries_arrive_with_their_mode(image: Path, host: Path) -> None:
    previous = os.umask(0o077)
    try:
        assert install_binaries(find(image), host) == [*CHAINED, "aws-cni"]
    finally:
        os.umask(previous)
    assert names(host) == {*CHAINED, "aws-cni"}
    for path in host.iterdir():
        assert path.read_bytes() == program(path.name)
        assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_second_installation_touches_nothing(image: Path, host: Path) -> None:
    install_binaries(find(image), host)
    before = {path.name: path.stat() for path in host.iterdir()}
    assert install_binaries(find(image), host) == []
    assert {path.name: path.stat() for path in host.iterdir()} == before


def test_only_what_differs_is_replaced(image: Path, host: Path) -> None:
    install_binaries(find(image), host)
    (host / "portmap").write_bytes(b"old")
    (host / "tuning").chmod(0o644)
    assert install_binaries(find(image), host) == ["portmap", "tuning"]
    assert (host / "portmap").read_bytes() == program("portmap")


def test_other_plugins_of_the_host_stay(image: Path, host: Path) -> None:
    (host / "cilium-cni").write_bytes(b"not ours")
    install_binaries(find(image), host)
    assert (host / "cilium-cni").read_bytes() == b"not ours"


def test_a_program_that_runs_is_replaced(image: Path, host: Path) -> None:
    """Writing into it would fail with ETXTBSY, and the running one must keep its code."""
    (host / "aws-cni").write_bytes(Path("/bin/sleep").read_bytes())
    (host / "aws-cni").chmod(0o755)
    with subprocess.Popen([host / "aws-cni", "60"]) as running:
        install_binaries(find(image), host)
        assert running.poll() is None
        running.kill()
    assert (host / "aws-cni").read_bytes() == program("aws-cni")


def test_a_link_is_replaced_and_not_followed(image: Path, host: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (host / "aws-cni").symlink_to(tmp_path / "precious")
    (host / ".aws-cni.vpc-cni.tmp").symlink_to(tmp_path / "precious")
    install_binaries(find(image), host)
    assert not (host / "aws-cni").is_symlink()
    assert (tmp_path / "precious").read_text() == "precious"


def test_leftovers_of_a_killed_installation_do_not_matter(image: Path, host: Path) -> None:
    (host / ".portmap.vpc-cni.tmp").write_bytes(b"half of")
    install_binaries(find(image), host)
    assert names(host) == {*CHAINED, "aws-cni"}


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_host_folder_that_is_not_mounted_is_refused(image: Path, host: Path, kind: str) -> None:
    target = host / "bin"
    if kind == "file":
        target.write_text("")
    with pytest.raises(HostError, match=f"{target} is missing or no folder: mount the host's /opt/cni/bin"):
        install_binaries(find(image), target)


def test_a_folder_with_a_plugins_name_is_named(image: Path, host: Path) -> None:
    (host / "aws-cni").mkdir()
    with pytest.raises(HostError, match=rf"cannot write {host}/aws-cni: Is a directory"):
        install_binaries(find(image), host)
    assert not any(name.endswith(".tmp") for name in names(host))


INSTALL_WITH_LITTLE_SPACE = """
import resource, signal, sys
from pathlib import Path
from vpc_cni.errors import HostError
from vpc_cni.install import Binary, install_binaries
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    install_binaries([Binary("small", b"n" * 900), Binary("large", b"n" * 1100)], Path(sys.argv[1]))
except HostError as err:
    print(err)
"""


def test_without_space_the_host_keeps_what_it_has(host: Path) -> None:
    """The limit of a file's size stands for a full disk; it holds for the process, so there is one for the test."""
    (host / "small").write_bytes(b"old")
    (host / "large").write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", INSTALL_WITH_LITTLE_SPACE, str(host)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "File too large" in done.stdout
    assert {path.name: path.read_bytes() for path in host.iterdir()} == {"small": b"old", "large": b"old"}
