"""The two images that every node of a lab's cluster has: the sandbox's ``pause``, and ``echo``, a server for tests.

Compiled from the C files beside this module, kept in the cache by what they are made from.
"""

import hashlib
import platform
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from vpc_cni.errors import HostError
from vpc_cni.lab.kubernetes.images.archive import Image, encode_archive
from vpc_cni.plugin.build import BuildError, Compiler, find_compiler

__all__ = ["ECHO_IMAGE", "PAUSE_IMAGE", "ensure_images"]

PAUSE_IMAGE = "localhost/pause:lab"
ECHO_IMAGE = "localhost/echo:lab"
PROGRAMS = {"pause": PAUSE_IMAGE, "echo": ECHO_IMAGE}
FLAGS = ("-std=gnu11", "-Os", "-g0", "-static", "-s", "-Wall", "-Wextra", "-Werror")
SHELL = Path("/bin/busybox")  # Debian's busybox or busybox-static; only the static one can live alone in an image
APPLETS = ("sh", "cat", "ip", "ls", "nc", "ping", "sleep", "wget")


def ensure_images(cache: Path, progress: Callable[[str], None]) -> list[Path]:
    """Return the archives of both images, made now or earlier.

    A compiler that has never been used on this machine takes half a minute, which is said.

    Raises:
        HostError: there is no C compiler, or the cache cannot be written.
    """
    try:
        compiler = find_compiler(platform.machine())
    except BuildError as err:
        raise HostError(str(err)) from err
    folder = cache / f"images-{_stamp(compiler)[:16]}"
    archives = {name: folder / f"{name}.tar" for name in PROGRAMS}
    if not all(path.is_file() for path in archives.values()):
        progress(f"compiling the images {PAUSE_IMAGE} and {ECHO_IMAGE}")
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in archives.items():
            staged = path.with_suffix(".tmp")
            staged.write_bytes(encode_archive(_image(name, compiler)))
            staged.replace(path)
    return list(archives.values())


def _image(name: str, compiler: Compiler) -> Image:
    program = f"/bin/{name}"
    files, links = {program: _compile(compiler, _source(name))}, {}
    # A shell makes `kubectl exec` useful; an image works without.
    if name == "echo" and _is_static(SHELL):
        files["/bin/busybox"] = SHELL.read_bytes()
        links = {f"/bin/{applet}": "busybox" for applet in APPLETS}
    return Image(PROGRAMS[name], files, [program], links)


def _compile(compiler: Compiler, source: Path) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / source.stem
        command = [*compiler.command, *FLAGS, "-o", str(output), source.name]
        done = subprocess.run(command, cwd=source.parent, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise HostError(f"{compiler.name} cannot compile {source.name}: {done.stderr.strip()}")
        return output.read_bytes()


def _source(name: str) -> Path:
    return Path(__file__).parent / f"{name}.c"


def _is_static(program: Path) -> bool:
    """Tell whether an ELF file asks for no interpreter: it then runs in an image without libraries."""
    try:
        return b"ld-linux" not in program.read_bytes()[:4096]
    except OSError:
        return False


def _stamp(compiler: Compiler) -> str:
    digest = hashlib.sha256(compiler.name.encode())
    for part in (*FLAGS, *APPLETS, str(_is_static(SHELL))):
        digest.update(part.encode() + b"\0")
    for path in (*map(_source, PROGRAMS), Path(__file__), Path(__file__).with_name("archive.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
