"""Finding, naming and installing the programs of a cluster, and the lock under which they are made."""

import subprocess
import sys
from pathlib import Path

import pytest

from vpc_cni.errors import HostError
from vpc_cni.lab.kubernetes.tooling import apt, build, changes, finder, preparation, programs


def make_set(folder: Path, *, without: str = "") -> Path:
    folder.mkdir(parents=True)
    for name in finder.COMPONENTS:
        if name != without:
            (folder / name).write_text("#!/bin/sh\n")
            (folder / name).chmod(0o755)
    return folder


def environment_of(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path), **more}


def test_the_users_own_set_comes_first(tmp_path: Path) -> None:
    make_set(finder.cache_root(environment_of(tmp_path)) / "1.20.2")
    own = make_set(tmp_path / "own")
    found = finder.find_binaries(environment_of(tmp_path, KUBEBUILDER_ASSETS=str(own)))
    assert found == finder.Binaries(own)


def test_an_incomplete_set_is_not_mixed_with_another(tmp_path: Path) -> None:
    cached = make_set(finder.cache_root(environment_of(tmp_path)) / "1.20.2")
    own = make_set(tmp_path / "own", without="kubelet")
    assert finder.missing_components(own) == ["kubelet"]
    assert finder.find_binaries(environment_of(tmp_path, KUBEBUILDER_ASSETS=str(own))) == finder.Binaries(cached)


def test_the_newest_complete_version_of_the_cache_is_used(tmp_path: Path) -> None:
    root = finder.cache_root(environment_of(tmp_path))
    make_set(root / "1.9.9")
    wanted = make_set(root / "1.20.2")
    make_set(root / "1.32.4", without="kube-proxy")
    make_set(root / ".1.33.0.tmp")
    assert finder.find_binaries(environment_of(tmp_path)) == finder.Binaries(wanted)


@pytest.mark.parametrize(("said", "older"), [("v1.20.2", True), ("v1.27.0", False), ("v1.32.4-lab.1", False)])
def test_a_set_tells_its_own_release(tmp_path: Path, said: str, older: bool) -> None:
    folder = make_set(tmp_path / "set")
    (folder / "kubelet").write_text(f"#!/bin/sh\necho Kubernetes {said}\n")
    binaries = finder.Binaries(folder)
    assert binaries.version == said.removeprefix("v")
    assert binaries.is_older_than(1, 27) == older


def test_a_set_for_another_machine_is_named(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set")
    (folder / "kubelet").write_bytes(b"\x7fELF of something else")
    with pytest.raises(HostError, match="does not run"):
        _ = finder.Binaries(folder).version


def test_an_empty_machine_is_told_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="lab kubernetes prepare"):
        finder.require_binaries(environment_of(tmp_path))


def test_a_set_gets_into_place_whole_or_not_at_all(tmp_path: Path) -> None:
    broken = make_set(tmp_path / "broken", without="kube-scheduler")
    with pytest.raises(HostError, match="kube-scheduler"):
        preparation.install_binaries(broken, tmp_path / "cache" / "1.20.2")
    assert not (tmp_path / "cache").exists()
    preparation.install_binaries(make_set(tmp_path / "good"), tmp_path / "cache" / "1.20.2")
    assert finder.missing_components(tmp_path / "cache" / "1.20.2") == []
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == ["1.20.2"]


def test_a_set_is_replaced_under_running_programs(tmp_path: Path) -> None:
    target = make_set(tmp_path / "cache" / "1.20.2")
    old = (target / "kubelet").open()
    built = make_set(tmp_path / "built")
    (built / "kubelet").write_text("#!/bin/sh\necho new\n")
    preparation.install_binaries(built, target)
    assert (target / "kubelet").read_text().endswith("echo new\n")
    assert old.read() == "#!/bin/sh\n"
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == ["1.20.2"]


def test_a_set_that_we_built_with_other_changes_is_outdated(tmp_path: Path) -> None:
    cache = finder.cache_root(environment_of(tmp_path))
    target = make_set(cache / finder.BUILT_VERSION)
    assert finder.is_outdated(finder.Binaries(target), cache)
    preparation.install_binaries(make_set(tmp_path / "built"), target)
    assert not finder.is_outdated(finder.Binaries(target), cache)
    (target / changes.RECORD).write_text(changes.encode_record(changes.CHANGES[:-1]))
    assert finder.is_outdated(finder.Binaries(target), cache)


def test_sets_of_others_are_never_outdated(tmp_path: Path) -> None:
    cache = finder.cache_root(environment_of(tmp_path))
    assert not finder.is_outdated(finder.Binaries(make_set(tmp_path / "own")), cache)
    assert not finder.is_outdated(finder.Binaries(make_set(cache / "1.32.4")), cache)


def test_sources_with_other_changes_are_discarded_and_what_was_compiled_stays(tmp_path: Path) -> None:
    paths = build.BuildPaths(tmp_path)
    said: list[str] = []
    for folder in (paths.source, tmp_path / "gocache"):
        folder.mkdir()
    (paths.source / changes.RECORD).write_text(changes.encode_record())
    build.discard_other_sources(paths, said.append)
    assert paths.source.is_dir()
    assert said == []
    (paths.source / changes.RECORD).write_text("[]\n")
    build.discard_other_sources(paths, said.append)
    assert [entry.name for entry in tmp_path.iterdir()] == ["gocache"]
    assert "other changes" in said[0]


def test_packages_are_named_once_and_only_for_programs_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "runc").touch(mode=0o755)
    wanted = {"runc": "runc", "ctr": "containerd", "containerd": "containerd", "etcd": "etcd-server"}
    assert programs.missing_packages(wanted, str(tmp_path)) == ["containerd", "etcd-server"]


TARGETS = """\
http://mirror.example/debian/|bookworm|main
http://mirror.example/debian/|bookworm|contrib
http://mirror.example/debian/|bookworm-updates|main
http://mirror.example/security/|bookworm-security|main
http://mirror.example/debian/|bookworm|main
http://other.example/|nodistro|main
"""


def test_the_mirrors_of_this_machine_are_used_for_sources_too() -> None:
    mirrors = apt.parse_targets(TARGETS)
    assert mirrors == [
        ("http://mirror.example/debian/", "bookworm"),
        ("http://mirror.example/debian/", "bookworm-updates"),
        ("http://mirror.example/security/", "bookworm-security"),
    ]
    stanzas = apt.encode_sources(mirrors, keyring=True).split("\n\n")
    assert len(stanzas) == 3
    assert stanzas[2].splitlines()[:3] == [
        "Types: deb deb-src",
        "URIs: http://mirror.example/security/",
        "Suites: bookworm-security",
    ]


@pytest.mark.parametrize("text", ["", "http://mirror.example/|trixie|main\n", TARGETS.replace("|bookworm|", "|sid|")])
def test_another_system_has_no_mirror_for_us(text: str) -> None:
    assert apt.parse_targets(text) == []


CHANGE = changes.Change("a/b.go", "const wait = 5", "const wait = 1", "too long")


def test_a_change_of_the_sources_is_made_where_its_text_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.go").write_text("package b\nconst wait = 5\n")
    build.apply_change(tmp_path, CHANGE)
    assert (tmp_path / "a/b.go").read_text() == "package b\nconst wait = 1\n"
    with pytest.raises(HostError, match=r"a/b\.go"):
        build.apply_change(tmp_path, CHANGE)


def test_progress_counts_what_the_compiler_prints() -> None:
    assert build.describe_log("+++ [0101 00:00:00] Generating deepcopy code\n") == "generating code"
    text = "+++ [1] Building go targets:\n    cmd/kubelet\nk8s.io/api/core/v1\ngolang.org/x/net/http2\n"
    assert build.describe_log(text).startswith("2 of about")


HOLDER = """
import subprocess, sys
from pathlib import Path
from vpc_cni.lab.kubernetes.tooling.preparation import locked
with locked(Path(sys.argv[1]), print) as lock:
    child = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    print(child.pid, flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_held_as_long_as_a_child_that_inherited_it_lives(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        holder.kill()
        holder.wait()
    said: list[str] = []

    def end_the_child(text: str) -> None:
        said.append(text)
        subprocess.run(["kill", "-9", str(child)], check=True)  # noqa: S607

    with preparation.locked(tmp_path / "lock", end_the_child):
        assert len(said) == 1
        assert "another process" in said[0]
