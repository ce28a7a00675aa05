"""Every package that the sources import is declared, in the extra that needs it, and every declared one is imported."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src" / "vpc_cni"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Run by another package: uvicorn takes httptools as its HTTP parser, SQLAlchemy psycopg for URLs of PostgreSQL.
# Of botocore the agent reads a file.
NOT_IMPORTED = {"botocore", "httptools", "psycopg"}

# Folders of src/vpc_cni by what must be installed for them.
PARTS = {
    "agent": ("errors.py", "model", "settings", "ipam", "rpc", "netlink", "ec2", "kube", "agent", "install"),
    "lab": ("lab", "sigv4.py"),
    "self-managed": ("cluster", "lifecycle", "self_managed"),
    "addons": ("addons", "sigv4.py"),
    "": ("cli", "manifests", "plugin"),
}


def names(requirements: list[str]) -> set[str]:
    """Return the distribution names of requirements, without our own extras."""
    found = {re.split(r"[\[<>=!~; ]", each, maxsplit=1)[0].lower() for each in requirements}
    return found - {"vpc-cni"}


def declared(extra: str) -> set[str]:
    return names(PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"])


def imported(parts: tuple[str, ...]) -> set[str]:
    """Return the distributions that the sources of some parts import, at any place in a file."""
    files = [
        file
        for part in parts
        for file in ([SOURCES / part] if part.endswith(".py") else (SOURCES / part).rglob("*.py"))
    ]
    modules = {module for file in files for module in _modules(ast.parse(file.read_text()))}
    distributions = packages_distributions()
    outside = modules - set(sys.stdlib_module_names) - {"vpc_cni"}
    return {_distribution(module, distributions.get(module, [])) for module in outside}


def _distribution(module: str, found: list[str]) -> str:
    """Return the distribution that brings a module: the one of its name where several put files into its folder."""
    distributions = [each.lower().replace("_", "-") for each in found]
    return module if module in distributions or not distributions else distributions[0]


def _modules(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("extra", PARTS)
def test_what_is_imported_is_declared(extra: str) -> None:
    # pytest is there when its plugin is loaded, and only then.
    assert imported(PARTS[extra]) - declared(extra) - {"pytest"} == set()


@pytest.mark.parametrize("extra", PARTS)
def test_what_is_declared_is_imported(extra: str) -> None:
    assert declared(extra) - imported(PARTS[extra]) - NOT_IMPORTED == set()


def test_every_package_of_ours_belongs_to_a_part() -> None:
    here = {path.name for path in SOURCES.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    known = {part for parts in PARTS.values() for part in parts}
    assert here - known - {"__init__.py"} == set()
