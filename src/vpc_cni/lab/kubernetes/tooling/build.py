"""Build Kubernetes from Debian's source package: steps that are done once each, in a folder that survives a kill.

Debian itself builds only the client from this package, but its sources are complete. A step works in a folder of its
own that gets its final name when the step is done; the compilation continues where it ended, since the compiler keeps
its results. Nothing outside the build folder changes.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.lab.kubernetes.tooling.apt import PrivateApt, find_mirrors
from vpc_cni.lab.kubernetes.tooling.changes import CHANGES, RECORD, Change, encode_record, has_record
from vpc_cni.lab.kubernetes.tooling.finder import BUILT_VERSION, COMPONENTS
from vpc_cni.lab.kubernetes.tooling.programs import SEARCH_PATH

Progress = Callable[[str], None]

SOURCE_PACKAGE = "kubernetes"
TOOLCHAIN_PACKAGES = ("golang-1.19-go", "golang-1.19-src")
TOOLCHAIN = Path("usr/lib/go-1.19")  # inside those packages
# How many Go packages a build of everything compiles, generators included: for a progress that people can read.
EXPECTED_PACKAGES = 2300
REPORT_SECONDS = 15.0
POLL_SECONDS = 0.5
_COMPILED = re.compile(r"^[\w.-]+(/[\w.@~-]+)+$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class BuildPaths:
    """Folders of one build."""

    root: Path

    @property
    def log(self) -> Path:
        return self.root / "build.log"

    @property
    def source(self) -> Path:
        return self.root / "source"

    @property
    def toolchain(self) -> Path:
        return self.root / "toolchain"

    @property
    def output(self) -> Path:
        return self.source / "_output" / "bin"


def build(paths: BuildPaths, progress: Progress, inherited_fd: int, nice: int = 10) -> Path:
    """Do the steps that are not done yet; return the folder with the programs.

    Args:
        inherited_fd: a lock that the compiler shall hold too: after a kill of this process alone it goes on, and
            nobody else may touch the folder meanwhile.
        nice: how much the compiler steps back behind other work, as nice(1).

    Raises:
        HostError: a step failed; its words are in the log.
    """
    paths.root.mkdir(parents=True, exist_ok=True)
    discard_other_sources(paths, progress)
    if not (paths.source.is_dir() and paths.toolchain.is_dir()):
        fetch(paths, progress)
    progress(f"compiling Kubernetes {BUILT_VERSION}: some 10 minutes on two cores, log {paths.log}")
    compile_components(paths, progress, inherited_fd, nice)
    return paths.output


def discard_other_sources(paths: BuildPaths, progress: Progress) -> None:
    """Remove sources that a build of another time left with other changes; what was compiled of them counts on."""
    if paths.source.is_dir() and not has_record(paths.source):
        progress("the sources in the build folder have other changes than those of today: unpacking them anew")
        # Under their name they must be whole, also when this is killed.
        discarded = paths.root / "discarded"
        shutil.rmtree(discarded, ignore_errors=True)
        paths.source.rename(discarded)
        shutil.rmtree(discarded)


def fetch(paths: BuildPaths, progress: Progress) -> None:
    """Download and unpack sources and compiler."""
    apt = PrivateApt(paths.root / "apt", paths.log)
    progress("fetching Debian's package lists")
    apt.update(find_mirrors())
    if not paths.source.is_dir():
        progress("fetching and unpacking the sources (35 MB)")
        description = apt.fetch_source(SOURCE_PACKAGE, paths.root / "download")
        in_one_step(paths.source, lambda staged: unpack_source(description, staged, paths.log))
    if not paths.toolchain.is_dir():
        progress("fetching and unpacking the Go compiler (80 MB)")
        packages = apt.fetch_packages(TOOLCHAIN_PACKAGES, paths.root / "download")
        in_one_step(paths.toolchain, lambda staged: unpack_packages(packages, staged, paths.log))


def in_one_step(target: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder beside ``target`` and give it that name when it is complete."""
    staged = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(staged, ignore_errors=True)
    fill(staged)
    staged.rename(target)


def unpack_source(description: Path, target: Path, log: Path) -> None:
    """Unpack a source package with Debian's changes, and make ours."""
    run_logged(["dpkg-source", "--extract", description, target], log)
    for change in CHANGES:
        apply_change(target, change)
    (target / RECORD).write_text(encode_record())
    # Where Go of that time looks for a package: inside a workspace.
    workspace = target / ".go" / "src" / "k8s.io"
    workspace.mkdir(parents=True)
    (workspace / "kubernetes").symlink_to("../../..")


def apply_change(source: Path, change: Change) -> None:
    """Change one source file.

    Raises:
        HostError: the text is not there: these are other sources than we know.
    """
    path = source / change.file
    text = path.read_text()
    if text.count(change.before) != 1:
        raise HostError(f'{change.file} does not have "{change.before}" once', hint="the source package has changed")
    path.write_text(text.replace(change.before, change.after))


def unpack_packages(packages: Sequence[Path], target: Path, log: Path) -> None:
    """Unpack the files of packages without installing them."""
    target.mkdir()
    for package in packages:
        run_logged(["dpkg-deb", "--extract", package, target], log)


def compile_components(paths: BuildPaths, progress: Progress, inherited_fd: int, nice: int) -> None:
    """Run the sources' own make, which also generates code; report what it says.

    Raises:
        HostError: it failed.
    """
    targets = " ".join(f"cmd/{name}" for name in COMPONENTS)
    with paths.log.open("ab") as log:
        started = log.tell()
        process = subprocess.Popen(
            ["nice", "-n", str(nice), "make", f"WHAT={targets}"],  # noqa: S607 - checked by the caller
            cwd=paths.source,
            env=build_environment(paths),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(inherited_fd,),
            start_new_session=True,
        )
    try:
        report_while(process, paths.log, started, progress)
    except BaseException:
        os.killpg(process.pid, 15)  # the person has lost patience: the compiler ends too
        raise
    if process.returncode != 0:
        raise HostError(
            f"compiling Kubernetes failed with status {process.returncode}",
            hint=f"see {paths.log}; to start afresh remove {paths.root}",
        )


def report_while(process: "subprocess.Popen[bytes]", log: Path, started: int, progress: Progress) -> None:
    """Wait for the compiler, and say from time to time how far it is."""
    began = time.monotonic()
    next_report = began + REPORT_SECONDS
    while process.poll() is None:
        time.sleep(POLL_SECONDS)
        if time.monotonic() >= next_report:
            next_report += REPORT_SECONDS
            minutes = (time.monotonic() - began) / 60
            progress(f"compiling, {minutes:.1f} min: {describe_log(read_from(log, started))}")


def describe_log(text: str) -> str:
    """Return how far a build is, from what it has printed. Pure."""
    compiled = len(_COMPILED.findall(text))
    return f"{compiled} of about {EXPECTED_PACKAGES} packages" if compiled else "generating code"


def read_from(path: Path, offset: int) -> str:
    with path.open("rb") as stream:
        stream.seek(offset)
        return stream.read().decode(errors="replace")


def build_environment(paths: BuildPaths) -> dict[str, str]:
    """Return all that the build sees of its surroundings. Pure."""
    go = paths.toolchain / TOOLCHAIN
    major, minor, _patch = BUILT_VERSION.split(".")
    return {
        "PATH": f"{go / 'bin'}:{SEARCH_PATH}",
        "LANG": "C.UTF-8",
        "HOME": str(paths.root / "home"),
        "GOPATH": str(paths.source / ".go"),
        "GOROOT": str(go),
        "GOCACHE": str(paths.root / "gocache"),
        "GOFLAGS": "-v",  # prints each package as it is compiled
        "CGO_ENABLED": "0",
        # A package has no repository to ask.
        "KUBE_GIT_VERSION": f"v{BUILT_VERSION}",
        "KUBE_GIT_MAJOR": major,
        "KUBE_GIT_MINOR": minor,
        "KUBE_GIT_COMMIT": "unknown",
        "KUBE_GIT_TREE_STATE": "clean",
    }


def run_logged(command: Sequence[str | Path], log: Path) -> None:
    """Run a program to its end with its words in the log.

    Raises:
        HostError: it failed.
    """
    with log.open("ab") as output:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    if done.returncode != 0:
        raise HostError(f"{command[0]} failed with status {done.returncode}", hint=f"see {log}")
