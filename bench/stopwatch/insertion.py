"""Build the stopwatch and put it in a plugin's place."""

import shutil
from pathlib import Path

from bench.stopwatch.stamps import Stamp, parse_stamps
from vpc_cni.lab.nodes.node import install_program
from vpc_cni.plugin import host_architecture
from vpc_cni.plugin.build import compile_plugin, find_compiler, read_version

SOURCES = Path(__file__).parent


def build_stopwatch(folder: Path) -> Path:
    """Compile the program into a folder; return its path.

    Raises:
        BuildError: no compiler, or it refused.
    """
    path = folder / "stopwatch"
    compile_plugin(find_compiler(host_architecture()), path, version=read_version(), sources=SOURCES)
    path.chmod(0o755)
    return path


class Stopwatch:
    """The stopwatch of one plugin in a folder of plugins."""

    def __init__(self, plugin_dir: Path, name: str) -> None:
        self._plugin = plugin_dir / name
        self._stamps = plugin_dir / f"{name}.stamps"

    def insert(self, program: Path) -> None:
        """Time every call from now on; a runtime never finds the plugin's place empty.

        Raises:
            OSError: the plugin is not there, or the folder cannot be written.
        """
        shutil.copy(self._plugin, self._plugin.with_name(f"{self._plugin.name}.timed"))
        install_program(program, self._plugin)

    def read(self) -> list[Stamp]:
        """Return all calls that have ended, in that order."""
        return parse_stamps(self._stamps.read_text()) if self._stamps.is_file() else []
