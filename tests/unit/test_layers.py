"""What importing a program brings into its process. The import contracts see the sources; this sees the result."""

import subprocess
import sys

import pytest

IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(package, "__path__", []), name + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
print("\\n".join({name.partition(".")[0] for name in sys.modules}))
"""
NEVER_IN_THE_AGENT = {
    "boto3",
    "botocore",
    "click",
    "httptools",
    "httpx",
    "kubernetes",
    "lightkube",
    "pydantic",
    "pyroute2",
    "rich",
    "sqlalchemy",
    "starlette",
    "typer",
    "uvicorn",
    "yaml",
}
AGENT = [
    f"vpc_cni.{name}" for name in ("agent", "rpc", "netlink", "ec2", "kube", "ipam", "settings", "model", "errors")
]


def modules_after_import(*packages: str) -> set[str]:
    """Import every module of some packages in a fresh interpreter; return the top-level names that are loaded."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *packages], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


RUN_COMMAND = """
import sys
from vpc_cni.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code
print("\\n".join(["", *sys.modules]))
"""


def modules_after_command(*words: str) -> set[str]:
    """Run a command line in a fresh interpreter; return the full names of all modules it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", RUN_COMMAND, *words], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.splitlines())


def test_the_agent_loads_no_web_framework_no_big_client_and_no_command_line() -> None:
    loaded = modules_after_import(*AGENT)
    assert {"vpc_cni", "msgspec", "urllib3"} <= loaded, "nothing was imported: this test would prove nothing"
    assert loaded & NEVER_IN_THE_AGENT == set()


@pytest.mark.parametrize("package", ["vpc_cni.errors", "vpc_cni.model", "vpc_cni.settings", "vpc_cni.plugin"])
def test_the_lowest_layers_load_the_standard_library_only(package: str) -> None:
    # Leaving out what the interpreter loads at start in this environment, such as hooks of editable installs.
    added = modules_after_import(package) - modules_after_import()
    assert package.partition(".")[0] in added
    assert added - set(sys.stdlib_module_names) == {"vpc_cni"}


def test_the_command_for_nodes_loads_neither_lab_nor_agent() -> None:
    loaded = modules_after_command("node", "status", "--help")
    assert "vpc_cni.cli.node" in loaded
    assert not [name for name in loaded if name.startswith(("vpc_cni.lab", "vpc_cni.agent", "botocore", "starlette"))]


def test_the_command_for_manifests_loads_neither_lab_nor_agent() -> None:
    loaded = modules_after_command("self-managed", "images", "--registry", "localhost:5000")
    assert "vpc_cni.manifests.render" in loaded
    unwanted = ("vpc_cni.lab", "vpc_cni.agent", "botocore", "boto3", "lightkube", "starlette")
    assert not [name for name in loaded if name.startswith(unwanted)]
