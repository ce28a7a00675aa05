"""Print what pip shall install into the image: versions from uv.lock, digests from tools/wheelhouse.txt.

    requirements.py vpc-cni[agent] --without six    what the agent needs, less what it never imports
    requirements.py hatchling ziglang               what building it needs

Runs while the image is built, before anything is installed. Standard library only; Python 3.11 or later.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "vpc-cni"


def main() -> None:
    """Print the pinned requirements of the arguments, without the project itself."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    parser = argparse.ArgumentParser()
    parser.add_argument("wanted", nargs="+")
    parser.add_argument("--without", nargs="*", default=[])
    given = parser.parse_args()
    names = closure(lock, given.wanted) - {PROJECT, *given.without}
    sys.stdout.write("\n".join(pinned(names, (ROOT / "tools" / "wheelhouse.txt").read_text())) + "\n")


def closure(lock: Mapping[str, Any], wanted: Iterable[str]) -> set[str]:
    """Return the names of all packages that some need, themselves included. Pure.

    Args:
        lock: uv.lock, read. Its markers are not looked at: it is made for Linux and CPython alone.
        wanted: names, with extras as in ``vpc-cni[agent]``.

    Raises:
        KeyError: a package or an extra is not locked.
    """
    packages = {package["name"]: package for package in lock["package"]}
    found: set[str] = set()
    waiting = [parse(word) for word in wanted]
    while waiting:
        name, extras = waiting.pop()
        package = packages[name]
        if name not in found:
            found.add(name)
            waiting += [(each["name"], each.get("extra", [])) for each in package.get("dependencies", [])]
        for extra in extras:
            waiting += [(each["name"], each.get("extra", [])) for each in package["optional-dependencies"][extra]]
    return found


def parse(word: str) -> tuple[str, list[str]]:
    name, _, extras = word.partition("[")
    return name, [extra for extra in extras.rstrip("]").split(",") if extra]


def pinned(names: Iterable[str], requirements: str) -> Iterator[str]:
    """Yield the entries of a requirements file with digests that are for these packages. Pure.

    Raises:
        KeyError: there is no entry for one of them.
    """
    entries = {
        entry[0].partition("==")[0].strip(): entry[0] for entry in re.finditer(r"^\w(?:.*\\\n)*.*$", requirements, re.M)
    }
    for name in sorted(names):
        yield entries[name]


if __name__ == "__main__":
    main()
