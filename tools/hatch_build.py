"""Build hook of the wheel: compiles the C programs for every architecture and puts them into the wheel.

An editable install gets no binaries: developers build them with ``python -m vpc_cni.plugin.build``.
"""

import importlib.util
import itertools
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PluginBuildHook(BuildHookInterface):  # type: ignore[type-arg] # hatchling leaves its configuration type open
    """Compile before the files of the wheel are collected."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable":
            return
        build = _load_build_module(Path(self.root))
        for name, arch in itertools.product(build.PROGRAMS, build.ARCHITECTURES):
            path = build.ensure_program(name, arch, version=self.metadata.version)
            build_data["force_include"][str(path)] = f"vpc_cni/plugin/bin/{arch}/{path.name}"


def _load_build_module(root: Path) -> Any:
    """Load the build module alone: importing the package would need its dependencies."""
    spec = importlib.util.spec_from_file_location(
        "vpc_cni_plugin_build", root / "src" / "vpc_cni" / "plugin" / "build.py"
    )
    if spec is None or spec.loader is None:
        raise ImportError("src/vpc_cni/plugin/build.py is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
