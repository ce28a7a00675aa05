"""Regenerate the locks: tools/uv.txt, tools/wheelhouse.txt and uv.lock. Run as ``make lock``.

Downloads every wheel for every supported Python and machine through pip, so that the result depends on no index in
particular and names none (docs/adr/0002). Runs under the Python of ``.tools``, which has pip and uv. Standard library
only.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "lock"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64", "aarch64")
# Wheels for a C library no newer than that of Debian 12 (2.36), newest first: pip prefers what comes first.
_NEWEST_GLIBC, _OLDEST_GLIBC = 36, 5
_LEGACY_TAGS = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}

# Only Linux is supported; uv resolves for these as well, each with packages that only it needs.
_OTHER_SYSTEMS = ("sys_platform == 'win32'", "sys_platform == 'emscripten'")

_HEADER = """\
# {what} Written by `make lock`; do not edit.
# Names no index: pip takes the files from wherever it is configured to, and refuses any that has another digest.
"""


@dataclass(frozen=True, slots=True)
class Pin:
    """One exact requirement; ``marker`` is empty or as in ``; python_full_version < '3.12'``."""

    name: str
    version: str
    marker: str = ""

    def __str__(self) -> str:
        return f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")


def main() -> None:
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    lock_uv()
    lock_project()


def lock_uv() -> None:
    """Pin the newest uv, or keep the pinned version when ``--keep-uv`` is given."""
    target = ROOT / "tools" / "uv.txt"
    pins = parse_pins(target.read_text()) if "--keep-uv" in sys.argv else [newest("uv")]
    wheels = WORK / "uv"
    for machine in MACHINES:
        download(pins, wheels, PYTHONS[0], machine)
    target.write_text(requirements("The tool that makes the environment.", pins, wheels))
    say(f"tools/uv.txt: uv {pins[0].version}")


def lock_project() -> None:
    """Resolve pyproject.toml, fetch every wheel and write both locks."""
    pins = resolve()
    say(f"{len(pins)} packages; downloading their wheels for {', '.join(MACHINES)}, Python {' '.join(PYTHONS)}")
    wheels = WORK / "wheels"
    for machine in MACHINES:
        for python in PYTHONS:
            download(pins, wheels, python, machine)
    (ROOT / "tools" / "wheelhouse.txt").write_text(requirements("Every wheel of the project.", pins, wheels))
    shutil.copytree(wheels, ROOT / ".wheelhouse", dirs_exist_ok=True)
    drop_others(ROOT / ".wheelhouse", wheels)
    (ROOT / "uv.lock").unlink(missing_ok=True)
    run(tool("uv"), "lock", "--no-cache", "--python", sys.executable)
    say("tools/wheelhouse.txt and uv.lock written")


def resolve() -> list[Pin]:
    """Let uv choose versions from pip's index, for all supported Pythons at once."""
    project = WORK / "pyproject.toml"
    project.write_text(without_table((ROOT / "pyproject.toml").read_text(), "tool.uv"))
    output = run(
        *(tool("uv"), "pip", "compile", "--no-config", "--quiet", "--no-header", "--no-annotate", "--universal"),
        *("--python-version", PYTHONS[0], "--all-extras", "--group", "dev", "--no-emit-package", "vpc-cni"),
        str(project),
    )
    return [pin for pin in parse_pins(output) if not any(each in pin.marker for each in _OTHER_SYSTEMS)]


def without_table(text: str, table: str) -> str:
    """Return TOML text without one of its tables, which points uv at the local folder. Pure."""
    kept = re.sub(rf"^\[{re.escape(table)}\]\n(?:(?!\[).*\n)*", "", text, flags=re.MULTILINE)
    assert "tool" not in tomllib.loads(kept) or "uv" not in tomllib.loads(kept)["tool"]  # noqa: S101 - a tool
    return kept


def parse_pins(text: str) -> list[Pin]:
    """Read ``name==version ; marker`` lines; hashes, comments and what follows a backslash are left out. Pure."""
    found = re.finditer(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)[ ]*(?:;[ ]*([^\\\n]+?))?[ ]*\\?$", text, re.MULTILINE)
    return [Pin(each[1], each[2], _supported_marker(each[3] or "")) for each in found]


def _supported_marker(marker: str) -> str:
    # Only CPython on Linux is supported, so a condition on the implementation is always met.
    return "" if "platform_python_implementation" in marker else marker


def newest(name: str) -> Pin:
    """Ask pip which version it would install."""
    folder = WORK / "newest"
    run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", str(folder), name)
    (wheel,) = folder.glob(f"{name}-*.whl")
    return Pin(name, wheel.name.split("-")[1])


def download(pins: Iterable[Pin], folder: Path, python: str, machine: str) -> None:
    """Fetch the wheels that pip would choose on one machine with one Python."""
    listing = WORK / "pins.txt"
    # pip looks at markers with the Python it runs under; the lock must hold what other Pythons need too.
    listing.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in pins))
    platforms = [part for tag in glibc_tags() for part in ("--platform", f"{tag}_{machine}")]
    run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"),
        *("--implementation", "cp", "--python-version", python, "--abi", "cp" + python.replace(".", "")),
        *platforms,
        *("-d", str(folder), "-r", str(listing)),
    )


def glibc_tags() -> Iterator[str]:
    """Yield platform tags, newest first. Source: PEP 600."""
    for minor in range(_NEWEST_GLIBC, _OLDEST_GLIBC - 1, -1):
        yield f"manylinux_2_{minor}"
        if minor in _LEGACY_TAGS:
            yield _LEGACY_TAGS[minor]


def requirements(what: str, pins: Iterable[Pin], folder: Path) -> str:
    """Return a pip requirements file with the digest of each downloaded wheel."""
    wheels = sorted(folder.glob("*.whl"))
    lines = [_HEADER.format(what=what)]
    for pin in sorted(pins, key=str):
        digests = [digest(wheel) for wheel in wheels if belongs(wheel, pin)]
        if not digests:
            sys.exit(f"lock: no wheel of {pin} was downloaded")
        lines.append(" \\\n".join([str(pin), *(f"    --hash=sha256:{each}" for each in sorted(digests))]) + "\n")
    return "".join(lines)


def belongs(wheel: Path, pin: Pin) -> bool:
    """Whether a wheel's file name is that of a pin. Pure. Source: PEP 427, PEP 503."""
    name, version, *_ = wheel.name.split("-")
    return name.lower().replace("_", "-").replace(".", "-") == pin.name.replace(".", "-") and version == pin.version


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def drop_others(folder: Path, wanted: Path) -> None:
    """Remove wheels of earlier locks, which uv would otherwise list."""
    names = {path.name for path in wanted.iterdir()}
    for path in folder.glob("*.whl"):
        if path.name not in names:
            path.unlink()


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"lock: `{' '.join(command[:5])} …` failed with status {done.returncode}")
    return done.stdout


def say(text: str) -> None:
    sys.stdout.write(f"lock: {text}\n")


if __name__ == "__main__":
    main()
