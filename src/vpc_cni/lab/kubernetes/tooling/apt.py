"""Sources and packages of Debian 12 through apt, without changing what apt knows of this machine.

Lists, sources file and cache are folders of our own, so neither root nor a changed /etc/apt is needed. The mirror is
the one that this machine uses for Debian 12 already.
"""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from vpc_cni.errors import HostError

RELEASE = "bookworm"
SUITES = (RELEASE, f"{RELEASE}-updates", f"{RELEASE}-security")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Fields of apt-get indextargets, apart by a character that is in none of them.
TARGET_FORMAT = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"


class PrivateApt:
    """apt with lists and sources of its own below one folder.

    Args:
        log: gets apt's words.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder = folder
        self._log = log

    def update(self, mirrors: Iterable[tuple[str, str]]) -> None:
        """Fetch the lists of sources and packages.

        Raises:
            HostError: a mirror does not answer.
        """
        for name in ("lists/partial", "cache/archives/partial"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "debian.sources").write_text(encode_sources(mirrors, KEYRING.is_file()))
        self._run("update")

    def fetch_source(self, package: str, target: Path) -> Path:
        """Download a source package; return its description file (.dsc).

        Raises:
            HostError: there is none, or the download failed.
        """
        target.mkdir(parents=True, exist_ok=True)
        self._run("source", "--download-only", package, cwd=target)
        found = sorted(target.glob(f"{package}_*.dsc"))
        if not found:
            raise HostError(f"apt fetched no source of {package}", hint=f"see {self._log}")
        return found[-1]

    def fetch_packages(self, packages: Sequence[str], target: Path) -> list[Path]:
        """Download packages without their dependencies; return the files.

        Raises:
            HostError: one does not exist, or the download failed.
        """
        target.mkdir(parents=True, exist_ok=True)
        self._run("download", *packages, cwd=target)
        return sorted(target.glob("*.deb"))

    def _run(self, *words: str, cwd: Path | None = None) -> None:
        options = {
            "Dir::Etc::sourcelist": self._folder / "debian.sources",
            "Dir::Etc::sourceparts": "-",
            "Dir::State::lists": self._folder / "lists",
            "Dir::Cache": self._folder / "cache",
            # The cache is in someone's home, where apt's own user cannot go.
            "APT::Sandbox::User": "root",
        }
        given = [f"-o{name}={value}" for name, value in options.items()]
        with self._log.open("ab") as output:
            done = subprocess.run(
                ["apt-get", "-q", *given, *words],  # noqa: S607 - checked by the caller
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd,
                check=False,
            )
        if done.returncode != 0:
            raise HostError(f"apt-get {words[0]} failed with status {done.returncode}", hint=f"see {self._log}")


def find_mirrors() -> list[tuple[str, str]]:
    """Return the addresses and suites from which this machine gets Debian 12.

    Raises:
        HostError: it gets it from nowhere, so it is another system.
    """
    command = ["apt-get", "indextargets", "--format", TARGET_FORMAT, "Created-By: Packages"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    mirrors = parse_targets(done.stdout)
    if not mirrors:
        raise HostError(
            "apt on this machine has no archive of Debian 12, so Kubernetes cannot be built here",
            hint="set KUBEBUILDER_ASSETS to a folder with the programs, or copy the cache from another machine",
        )
    return mirrors


def parse_targets(text: str) -> list[tuple[str, str]]:
    """Read lines of ``TARGET_FORMAT``; return (address, suite) of the suites that we use, each once. Pure."""
    rows = (line.split("|") for line in text.splitlines())
    found = [(row[0], row[1]) for row in rows if len(row) == 3 and row[1] in SUITES and row[2] == "main"]
    return list(dict.fromkeys(found)) if any(suite == RELEASE for _, suite in found) else []


def encode_sources(mirrors: Iterable[tuple[str, str]], keyring: bool) -> str:
    """Return a sources file (deb822) for packages and sources. Pure."""
    signed = f"Signed-By: {KEYRING}\n" if keyring else ""
    return "\n".join(
        f"Types: deb deb-src\nURIs: {address}\nSuites: {suite}\nComponents: main\n{signed}"
        for address, suite in mirrors
    )
