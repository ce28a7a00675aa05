"""The build: static, small, repeatable, and only when something changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vpc_cni.plugin.build import (
    ARCHITECTURES,
    BuildError,
    Compiler,
    compile_plugin,
    ensure_plugin,
    find_compiler,
    list_sources,
    source_stamp,
)
from vpc_cni.plugin.locate import host_architecture

# e_machine of the ELF header; Source: linux/elf-em.h.
ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
SIZE_LIMIT = 80_000


def elf_machine(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[18:20], "little")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A binary for each architecture that can be built here."""
    folder = tmp_path_factory.mktemp("bin")
    architectures = ARCHITECTURES if find_compiler(host_architecture()).name != "gcc" else (host_architecture(),)
    return {arch: ensure_plugin(arch, version="1.2.3", bin_directory=folder) for arch in architectures}


def test_each_architecture_is_static_and_small(built):
    for arch, path in built.items():
        data = path.read_bytes()
        assert elf_machine(path) == ELF_MACHINES[arch]
        assert b"/ld-" not in data, "no program interpreter: nothing of the host is needed"
        assert len(data) < SIZE_LIMIT
        assert os.access(path, os.X_OK)


def test_two_builds_are_equal_byte_for_byte(built, tmp_path):
    """Sources in another folder: the compiler's cache cannot answer for it."""
    sources = tmp_path / "another folder"
    sources.mkdir()
    for path in list_sources():
        shutil.copy(path, sources)
    for arch, path in built.items():
        again = tmp_path / arch
        compile_plugin(find_compiler(arch), again, version="1.2.3", sources=sources)
        assert again.read_bytes() == path.read_bytes()


def test_no_path_of_this_machine_is_inside(built):
    for path in built.values():
        data = path.read_bytes()
        for folder in {str(Path.home()), str(Path.cwd()), str(Path(__file__).parents[3])} - {"/"}:
            assert folder.encode() not in data


def test_the_version_is_inside_and_part_of_the_stamp(built):
    assert b"1.2.3" in built[host_architecture()].read_bytes()
    compiler = Compiler("c", ("cc",))
    assert source_stamp(compiler, "1") != source_stamp(compiler, "2")
    assert source_stamp(compiler, "1") != source_stamp(Compiler("d", ("cc",)), "1")


def test_an_unchanged_source_is_not_built_again(built):
    arch = host_architecture()
    path = built[arch]
    before = path.stat().st_mtime_ns
    assert ensure_plugin(arch, version="1.2.3", bin_directory=path.parents[1]) == path
    assert path.stat().st_mtime_ns == before


def test_a_stale_stamp_builds_again_and_leaves_no_rubbish(built):
    arch = host_architecture()
    path = built[arch]
    path.with_suffix(".stamp").write_text("old")
    before = path.stat().st_ino
    ensure_plugin(arch, version="1.2.3", bin_directory=path.parents[1])
    assert path.stat().st_ino != before
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["aws-cni", "aws-cni.stamp"]


def test_a_compiler_s_refusal_is_shown(tmp_path):
    compiler = find_compiler(host_architecture())
    with pytest.raises(BuildError, match="STDIN_MS"):
        compile_plugin(compiler, tmp_path / "x", version="1", defines=["STDIN_MS=)"])


def test_an_architecture_that_nothing_here_builds_is_explained():
    code = (
        "import sys; sys.modules['ziglang'] = None; sys.path.insert(0, sys.argv[1]);"
        "import build\ntry: build.find_compiler('riscv64')\nexcept build.BuildError as err: print(err)"
    )
    folder = Path(sys.modules["vpc_cni.plugin.build"].__file__ or "").parent
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)
    assert "no C compiler for riscv64: pip install ziglang" in done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_gcc_is_a_fallback_that_works(tmp_path):
    compile_plugin(Compiler("gcc", (str(shutil.which("gcc")),)), tmp_path / "aws-cni", version="1")
    done = subprocess.run(
        [tmp_path / "aws-cni"],
        env={"CNI_COMMAND": "VERSION"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    assert b"supportedVersions" in done.stdout
