"""Build the plugin and the health probe: static, small, byte for byte the same from the same sources.

Runs a compiler: ``ziglang`` (both architectures, with musl inside) or, when that is not installed, the system's gcc
for its own architecture. Used by the wheel's build hook, the Makefile and tests; imported by no program.
Standard library only, and no other module of this project: the build hook loads this file alone.
"""

import argparse
import hashlib
import importlib.metadata
import importlib.util
import itertools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE_DIRECTORY = Path(__file__).parent
BIN_DIRECTORY = SOURCE_DIRECTORY / "bin"
ARCHITECTURES = ("x86_64", "aarch64")
PLUGIN_NAME = "aws-cni"
PROBE_NAME = "grpc-health-probe"
# Where the sources of each program lie.
PROGRAMS = {PLUGIN_NAME: SOURCE_DIRECTORY, PROBE_NAME: SOURCE_DIRECTORY / "probe"}

WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion")
# No debug information, build id or absolute path: what would make two builds differ.
_FLAGS = ("-std=gnu11", "-Os", "-g0", "-static", "-s", "-ffunction-sections", "-fdata-sections", *WARNINGS)
_LINK_FLAGS = ("-Wl,--gc-sections", "-Wl,--build-id=none")


class BuildError(Exception):
    """No compiler, or it refused; the text is what to show to the developer."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """A command that compiles and links C for one architecture; ``name`` has its version and goes into the stamp."""

    name: str
    command: tuple[str, ...]


def list_sources(directory: Path = SOURCE_DIRECTORY) -> tuple[Path, ...]:
    """List C sources and headers by name."""
    return tuple(sorted([*directory.glob("*.c"), *directory.glob("*.h")]))


def find_compiler(arch: str) -> Compiler:
    """Choose a compiler for ``arch``. Raises BuildError when there is none."""
    if importlib.util.find_spec("ziglang") is not None:
        command = (sys.executable, "-m", "ziglang", "cc", "-target", f"{arch}-linux-musl")
        return Compiler(f"ziglang {importlib.metadata.version('ziglang')}", command)
    gcc = shutil.which("gcc")
    if gcc is not None and arch == platform.machine():
        version = subprocess.run((gcc, "-dumpfullversion"), capture_output=True, text=True, check=True).stdout
        return Compiler(f"gcc {version.strip()}", (gcc,))
    raise BuildError(f"no C compiler for {arch}: pip install ziglang (or, for this machine alone, apt install gcc)")


def compile_plugin(
    compiler: Compiler,
    output: Path,
    *,
    version: str,
    defines: Sequence[str] = (),
    flags: Sequence[str] = (),
    sources: Path = SOURCE_DIRECTORY,
) -> None:
    """Compile and link a program, by default the plugin, into ``output``. Raises BuildError with the compiler's words.

    Args:
        defines: ``NAME=VALUE``, for tests that need other time limits.
        flags: replace the usual compile and link flags, for instrumented builds.
        sources: their folder; does not show in the binary.
    """
    macros = [f"-D{define}" for define in (f'SHIM_VERSION="{version}"', *defines)]
    used = (*flags, *WARNINGS) if flags else (*_FLAGS, *_LINK_FLAGS)
    # Names relative to the sources: no path of this machine gets into the binary.
    names = [path.name for path in list_sources(sources) if path.suffix == ".c"]
    command = [*compiler.command, *used, *macros, "-o", str(output.absolute()), *names]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{compiler.name} failed:\n{done.stderr}")


def source_stamp(compiler: Compiler, version: str, sources: Path = SOURCE_DIRECTORY) -> str:
    """Digest all that the binary depends on: sources, flags, compiler, version."""
    digest = hashlib.sha256()
    for part in (compiler.name, version, *_FLAGS, *_LINK_FLAGS):
        digest.update(part.encode() + b"\0")
    for path in list_sources(sources):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def ensure_plugin(arch: str, *, version: str, bin_directory: Path = BIN_DIRECTORY) -> Path:
    """Build the plugin for ``arch`` unless it is current; return its path."""
    return ensure_program(PLUGIN_NAME, arch, version=version, bin_directory=bin_directory)


def ensure_program(name: str, arch: str, *, version: str, bin_directory: Path = BIN_DIRECTORY) -> Path:
    """Build one of PROGRAMS for ``arch`` unless what is there came from the same sources; return its path.

    Replaces the binary atomically: a runtime may start the old one at any time.
    """
    sources = PROGRAMS[name]
    compiler = find_compiler(arch)
    path = bin_directory / arch / name
    stamp = path.with_suffix(".stamp")
    wanted = source_stamp(compiler, version, sources)
    if path.is_file() and stamp.is_file() and stamp.read_text() == wanted:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".build-") as folder:
        built = Path(folder) / name
        compile_plugin(compiler, built, version=version, sources=sources)
        built.chmod(0o755)
        os.replace(built, path)
    stamp.write_text(wanted)
    return path


def read_version() -> str:
    """Return the project's version from its metadata, or from pyproject.toml in a tree that is not installed."""
    try:
        return importlib.metadata.version("vpc-cni")
    except importlib.metadata.PackageNotFoundError:
        project = SOURCE_DIRECTORY.parents[2] / "pyproject.toml"
        return str(tomllib.loads(project.read_text())["project"]["version"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Build for the named architectures, by default for all."""
    description = f"Build the programs {', '.join(PROGRAMS)}."
    parser = argparse.ArgumentParser(prog="python -m vpc_cni.plugin.build", description=description)
    parser.add_argument("--arch", action="append", choices=ARCHITECTURES, help="may be repeated; default: all")
    for name, arch in itertools.product(PROGRAMS, parser.parse_args(arguments).arch or ARCHITECTURES):
        try:
            path = ensure_program(name, arch, version=read_version())
        except BuildError as err:
            sys.stderr.write(f"{err}\n")
            return 1
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
