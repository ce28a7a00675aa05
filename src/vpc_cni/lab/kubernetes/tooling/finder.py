"""Where the Kubernetes programs are: a folder that the user names, or the cache. Reads folders, changes nothing.

A set comes from one folder: components of different versions side by side would be a cluster that nobody runs.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.lab.kubernetes.tooling.changes import has_record

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
# The convention of controller-runtime's envtest; its sets lack kubelet and kube-proxy and are skipped.
ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"
BUILT_VERSION = "1.20.2"

_NUMBER = re.compile(r"\d+")
_VERSION_FOLDER = re.compile(r"\d+\.\d+\.\d+")
PREPARE_HINT = (
    f"run `vpc-cni lab kubernetes prepare`, or set {ASSETS_VARIABLE} to a folder with {', '.join(COMPONENTS)}"
)


@dataclass(frozen=True)
class Binaries:
    """A complete set: every one of ``COMPONENTS`` is an executable in ``folder``."""

    folder: Path

    @cached_property
    def version(self) -> str:
        """The release, as the set itself says: for example ``1.20.2``.

        Raises:
            HostError: it does not run here.
        """
        try:
            said = subprocess.check_output([self.path("kubelet"), "--version"], text=True)
        except (OSError, subprocess.CalledProcessError) as err:
            raise HostError(f"{self.path('kubelet')} does not run: {err}", hint="remove the folder") from err
        return said.split()[-1].removeprefix("v")

    def is_older_than(self, *release: int) -> bool:
        """Tell whether the set is older than a release, given by its numbers."""
        return tuple(int(part) for part in _NUMBER.findall(self.version))[: len(release)] < release

    def path(self, component: str) -> Path:
        return self.folder / component


def cache_root(environment: Mapping[str, str] | None = None) -> Path:
    """Return the folder of all cached versions; it need not exist."""
    given = os.environ if environment is None else environment
    base = given.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "vpc-cni" / "kubernetes"


def find_binaries(environment: Mapping[str, str] | None = None) -> Binaries | None:
    """Return the user's own set when it is complete, else the newest one in the cache; None when there is none."""
    given = os.environ if environment is None else environment
    assets = given.get(ASSETS_VARIABLE)
    if assets and not missing_components(Path(assets)):
        return Binaries(Path(assets))
    complete = [folder for folder in _cached_versions(cache_root(given)) if not missing_components(folder)]
    return Binaries(complete[-1]) if complete else None


def require_binaries(environment: Mapping[str, str] | None = None) -> Binaries:
    """Return what ``find_binaries`` finds.

    Raises:
        HostError: there is no complete set.
    """
    found = find_binaries(environment)
    if found is None:
        raise HostError("the Kubernetes programs are not on this machine", hint=PREPARE_HINT)
    return found


def is_outdated(found: Binaries, cache: Path) -> bool:
    """Tell whether a set was built by us, with other changes of the sources than those of today.

    Clusters run with it; `prepare` builds another.
    """
    return found.folder == cache / BUILT_VERSION and not has_record(found.folder)


def missing_components(folder: Path) -> list[str]:
    """Return the components that are not executables in a folder, in the order of ``COMPONENTS``."""
    return [name for name in COMPONENTS if not os.access(folder / name, os.X_OK)]


def _cached_versions(root: Path) -> list[Path]:
    """Return the version folders of the cache, oldest version first."""
    if not root.is_dir():
        return []
    folders = [entry for entry in root.iterdir() if _VERSION_FOLDER.fullmatch(entry.name)]
    return sorted(folders, key=lambda folder: [int(part) for part in folder.name.split(".")])
