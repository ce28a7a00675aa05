"""What pip installs into the image comes from the locks, and is as little as the agent needs."""

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("requirements", ROOT / "deploy" / "image" / "requirements.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


requirements = load()
LOCK = tomllib.loads((ROOT / "uv.lock").read_text())


def package(name: str, *needs: str, **extras: list[str]) -> dict[str, object]:
    return {
        "name": name,
        "dependencies": [{"name": need} for need in needs],
        "optional-dependencies": {extra: [{"name": need} for need in names] for extra, names in extras.items()},
    }


def test_dependencies_are_followed_to_their_end_and_through_circles() -> None:
    lock = {"package": [package("a", "b"), package("b", "c"), package("c", "a"), package("d")]}
    assert requirements.closure(lock, ["a"]) == {"a", "b", "c"}


def test_only_the_extra_that_is_asked_for_counts() -> None:
    lock = {"package": [package("a", "b", agent=["c"], lab=["d"]), package("b"), package("c"), package("d")]}
    assert requirements.closure(lock, ["a"]) == {"a", "b"}
    assert requirements.closure(lock, ["a[agent]"]) == {"a", "b", "c"}


def test_an_extra_of_a_dependency_counts() -> None:
    needs = {"name": "a", "dependencies": [{"name": "b", "extra": ["x"]}]}
    assert requirements.closure({"package": [needs, package("b", x=["c"]), package("c")]}, ["a"]) == {"a", "b", "c"}


def test_what_is_not_locked_is_refused() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        requirements.closure(LOCK, ["nowhere"])
    with pytest.raises(KeyError, match="nothing"):
        requirements.closure(LOCK, ["vpc-cni[nothing]"])


def test_the_agent_brings_neither_lab_nor_development_tools() -> None:
    names = requirements.closure(LOCK, ["vpc-cni[agent]"])
    assert names >= {"botocore", "msgspec", "prometheus-client", "urllib3"}
    assert names & {"boto3", "starlette", "uvicorn", "pytest", "ziglang", "cryptography", "awscli"} == set()


def test_every_entry_is_pinned_by_digest() -> None:
    names = requirements.closure(LOCK, ["vpc-cni[agent]"]) - {"vpc-cni"}
    entries = list(requirements.pinned(names, (ROOT / "tools" / "wheelhouse.txt").read_text()))
    assert len(entries) == len(names)
    versions = {each["name"]: each["version"] for each in LOCK["package"]}
    for name, entry in zip(sorted(names), entries, strict=True):
        assert entry.startswith(f"{name}=={versions[name]} ")
        assert "--hash=sha256:" in entry


def test_what_the_image_never_imports_is_left_out() -> None:
    command = [sys.executable, ROOT / "deploy" / "image" / "requirements.py", "vpc-cni[agent]"]
    whole, less = (
        {line.partition("==")[0] for line in subprocess.check_output(words, text=True).splitlines() if "==" in line}
        for words in (command, [*command, "--without", "pyyaml", "six"])
    )
    assert whole - less == {"pyyaml", "six"}
