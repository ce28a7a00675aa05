"""`vpc-cni lab kubernetes prepare`: whatever is missing for a cluster gets here, once, whoever else tries the same."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.lab.kubernetes.images import ensure_images
from vpc_cni.lab.kubernetes.tooling.build import BuildPaths, build
from vpc_cni.lab.kubernetes.tooling.changes import RECORD, encode_record
from vpc_cni.lab.kubernetes.tooling.finder import (
    ASSETS_VARIABLE,
    BUILT_VERSION,
    COMPONENTS,
    Binaries,
    cache_root,
    find_binaries,
    is_outdated,
    missing_components,
)
from vpc_cni.lab.kubernetes.tooling.programs import (
    BUILD_PROGRAMS,
    CLUSTER_PROGRAMS,
    install_packages,
    missing_packages,
)

Progress = Callable[[str], None]

LOCK_POLL_SECONDS = 0.5
NEEDED_BYTES = 5 * 2**30


def prepare(progress: Progress, environment: Mapping[str, str] | None = None) -> Binaries:
    """Make sure that a cluster can start: programs of Debian, then Kubernetes' own.

    May be repeated and interrupted; what is done stays done. Two at once: one works, the other waits and finds it.

    Raises:
        HostError: something is missing and cannot be installed or built here; the hint says what to do.
    """
    given = os.environ if environment is None else environment
    cache = cache_root(given)
    cache.mkdir(parents=True, exist_ok=True)
    assets = given.get(ASSETS_VARIABLE)
    if assets and (missing := missing_components(Path(assets))):
        progress(f"{ASSETS_VARIABLE} lacks {', '.join(missing)}: not used")
    with locked(cache / "lock", progress) as lock:
        found = find_binaries(given)
        if found is not None and is_outdated(found, cache):
            progress(f"the programs in {found.folder} were built with other changes than ours of today: building anew")
            found = None
        programs = CLUSTER_PROGRAMS if found else {**CLUSTER_PROGRAMS, **BUILD_PROGRAMS}
        _install_missing(programs, cache / "apt.log", progress)
        ensure_images(cache, progress)
        return found or _build_into(cache, progress, lock)


@contextmanager
def locked(path: Path, progress: Progress) -> Iterator[int]:
    """Hold a lock file, waiting for others; yields its descriptor, which children may inherit to hold it too."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        told = False
        while not _try_lock(descriptor):
            if not told:
                progress("another process is preparing Kubernetes (or a build of an ended one goes on): waiting for it")
                told = True
            time.sleep(LOCK_POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def install_binaries(built: Path, target: Path) -> None:
    """Put a complete set into place: each program in one step, the record of its changes last.

    May run while clusters use the set before it, of the same release: their programs live on, and a program that
    starts meanwhile is an old one or a new one, never half of one. Where there was no set, it is complete with its
    last program.

    Raises:
        HostError: one is missing.
    """
    missing = missing_components(built)
    if missing:
        raise HostError(f"the build made no {', '.join(missing)}")
    staged = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    for name in COMPONENTS:
        shutil.copy2(built / name, staged / name)
    (staged / RECORD).write_text(encode_record())
    target.mkdir(exist_ok=True)
    for name in (*COMPONENTS, RECORD):
        (staged / name).replace(target / name)
    staged.rmdir()


def _install_missing(programs: Mapping[str, str], log: Path, progress: Progress) -> None:
    packages = missing_packages(programs)
    if packages:
        progress(f"installing {', '.join(packages)}")
        install_packages(packages, log)
        still = missing_packages(programs)
        if still:
            raise HostError(f"{', '.join(still)} installed, but the programs are not there", hint=f"see {log}")


def _build_into(cache: Path, progress: Progress, lock: int) -> Binaries:
    paths = BuildPaths(cache / f"build-{BUILT_VERSION}")
    _check_space(cache)
    started = time.monotonic()
    output = build(paths, progress, lock)
    target = cache / BUILT_VERSION
    install_binaries(output, target)
    progress(f"removing the build folder; the programs are in {target}")
    shutil.rmtree(paths.root, ignore_errors=True)
    progress(f"Kubernetes {BUILT_VERSION} is ready after {(time.monotonic() - started) / 60:.1f} min")
    return Binaries(target)


def _check_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise HostError(
            f"a build needs {NEEDED_BYTES / 2**30:.0f} GiB below {folder}, {free / 2**30:.1f} are free",
            hint="free some space, or set XDG_CACHE_HOME",
        )


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
