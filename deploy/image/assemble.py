"""Put the image's files together: Python, the agent's packages, the libraries they load, plugins, entry points.

    assemble.py FOLDER

Runs in the build stage of the Dockerfile, as root, and takes files from that stage's own root. What the image has, by
part and package with sizes and versions, is written into it as ``/usr/share/vpc-cni/contents.json`` and printed.
Standard library only.
"""

import compileall
import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
HOME = Path("/opt/vpc-cni")
CHAINED = ("bandwidth", "host-local", "loopback", "portmap", "tuning")
# Loaded by name while the agent runs: by netlink, and by the C library when a thread ends.
LOADED_BY_NAME = ("libnftables.so.1", "libgcc_s.so.1")
# Parts of the standard library that no agent uses: development, windows, terminals, databases, installers.
UNUSED_STANDARD = (
    *("__phello__", "__pycache__", "config-*", "curses", "dbm", "distutils", "dist-packages", "ensurepip", "idlelib"),
    *("lib2to3", "pydoc_data", "site-packages", "sqlite3", "test", "tests", "tkinter", "turtle.py", "turtledemo"),
    *("unittest", "venv"),
)
UNUSED_EXTENSIONS = re.compile(
    r"_?(test|xx|curses|tkinter|sqlite3|dbm|gdbm|readline|nis|ossaudiodev|crypt|ctypes_test)"
)
# Of botocore only the certificate authorities are used; of Pygments, which the command line brings, no reader of a
# language (they are found by name when asked for); the lab needs packages that are not here.
UNUSED_PACKAGES = (
    *("botocore/*/", "botocore/[!_]*.py", "*.dist-info/RECORD", "*.dist-info/direct_url.json"),
    *("pygments/lexers/[!_]*.py", "vpc_cni/lab", "vpc_cni/cli/lab*.py"),
)


@dataclass
class Image:
    """The folder that becomes the image's root, and which part each file was put in for."""

    root: Path
    parts: dict[str, int] = field(default_factory=dict)

    def count(self, part: str) -> None:
        """Book what came since the last call on one part, in bytes."""
        self.parts[part] = tree_bytes(self.root) - sum(self.parts.values())

    def place(self, path: Path) -> Path:
        """Return where a file of this system goes, with links in its folder's name resolved."""
        return self.root / (path.parent.resolve() / path.name).relative_to("/")

    def add(self, path: Path) -> None:
        """Copy a file, and what it is a link to, to the same place."""
        target = self.place(path)
        if target.is_symlink() or target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            target.symlink_to(os.readlink(path))
            self.add(path.parent.resolve() / os.readlink(path))
        else:
            shutil.copy2(path, target)


def main() -> None:
    image = Image(Path(sys.argv[1]))
    image.root.mkdir(parents=True)
    add_system_files(image)
    image.count("system files")
    add_python(image)
    image.count("Python and its standard library")
    add_packages(image)
    image.count("Python packages")
    add_chained_plugins(image)
    image.count("chained CNI plugins")
    add_programs(image)
    image.count("entry points and probe")
    add_libraries(image)
    image.count("shared libraries")
    packages = add_package_records(image)
    image.count("licences and records of packages")
    report(image, packages)


def tree_bytes(root: Path) -> int:
    return sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir() or path.is_symlink())


# ---- parts ----------------------------------------------------------------------------------------------------------


def add_system_files(image: Image) -> None:
    """Make the folders that every container has, and the few files that the C library reads."""
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            (image.root / name).symlink_to(os.readlink(Path("/", name)))
    for name in (
        "dev",
        "etc",
        "proc",
        "root",
        "run",
        "sys",
        "tmp",
        "usr/bin",
        "usr/lib",
        "usr/lib64",
        "usr/sbin",
        "var",
    ):
        (image.root / name).mkdir(parents=True, exist_ok=True)
    (image.root / "tmp").chmod(0o1777)
    (image.root / "var" / "run").symlink_to("/run")
    for name in ("os-release", "passwd", "group", "nsswitch.conf", "ld.so.conf"):
        if Path("/etc", name).exists():
            image.add(Path("/etc", name))
    for path in Path("/etc/ld.so.conf.d").glob("*.conf"):
        image.add(path)


def add_python(image: Image) -> None:
    """Copy the interpreter and the used parts of its standard library."""
    image.add(Path(os.readlink(HOME / "bin" / "python3")))
    standard = Path(sysconfig.get_path("stdlib"))
    for folder, names, files in os.walk(standard):
        skipped = shutil.ignore_patterns(*UNUSED_STANDARD)(folder, [*names, *files])
        names[:] = [name for name in names if name not in skipped]
        for name in files:
            path = Path(folder, name)
            is_unused = name in skipped or (path.parent.name == "lib-dynload" and UNUSED_EXTENSIONS.match(name))
            if path.exists() and not is_unused and path.suffix != ".a":
                image.add(path)
    compile_others(image, image.root / standard.relative_to("/"))


def add_packages(image: Image) -> None:
    """Copy the environment without what is never loaded, and compile it: the image is read-only when it runs.

    Our own modules keep their sources: a traceback in a log then shows the lines that matter.
    """
    unused = {
        path for site in HOME.glob("lib/python*/site-packages") for each in UNUSED_PACKAGES for path in site.glob(each)
    }
    shutil.copytree(
        HOME,
        image.root / HOME.relative_to("/"),
        symlinks=True,
        ignore=lambda folder, names: [name for name in names if Path(folder, name) in unused or name == "__pycache__"],
    )
    (packages,) = (image.root / HOME.relative_to("/")).glob("lib/python*/site-packages")
    compile_tree(image, packages / "vpc_cni")
    for folder in packages.iterdir():
        if folder.name != "vpc_cni":
            compile_others(image, folder)
    for source in list(packages.glob("*.py")):
        compile_tree(image, source, legacy=True)
        source.unlink()
    for script in (image.root / HOME.relative_to("/") / "bin").iterdir():
        if script.name != "vpc-cni" and not script.name.startswith("python"):
            script.unlink()


def add_chained_plugins(image: Image) -> None:
    """Copy the programs that a conflist may name beside ours. Source: Debian package containernetworking-plugins."""
    target = image.root / "opt" / "cni" / "bin"
    target.mkdir(parents=True)
    for name in CHAINED:
        shutil.copy(Path("/usr/lib/cni", name), target / name)


def add_programs(image: Image) -> None:
    """Put the entry points and this processor's health probe where charts look for them."""
    app = image.root / "app"
    app.mkdir()
    for name in ("aws-vpc-cni", "aws-vpc-cni-init"):
        shutil.copy(SOURCES / name, app / name)
    (probe,) = HOME.glob(f"lib/python*/site-packages/vpc_cni/plugin/bin/{os.uname().machine}/grpc-health-probe")
    shutil.copy(probe, app / probe.name)
    for path in app.iterdir():
        path.chmod(0o755)


def add_libraries(image: Image) -> None:
    """Copy every shared library that a program or an extension needs, and the loader."""
    known = dict(re.findall(r"^\s*(\S+) .*=> (\S+)$", run("ldconfig", "-p"), re.M))
    for name in LOADED_BY_NAME:
        image.add(Path(known[name]))
    checked: set[Path] = set()
    while waiting := set(elf_files(image.root)) - checked:
        for path in waiting:
            for library in needed_libraries(path):
                image.add(library)
        checked |= waiting
    run("ldconfig", "-r", str(image.root))


def elf_files(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield path


def needed_libraries(path: Path) -> Iterator[Path]:
    """Yield the files that the loader would open; nothing for static programs and those of other processors."""
    done = subprocess.run(["/usr/bin/ldd", str(path)], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if "not found" in line:
            sys.exit(f"assemble: {path} needs {line.strip()}")
        found = re.search(r"(/\S+) \(0x", line)
        if found:
            yield Path(found[1])


def compile_others(image: Image, folder: Path) -> None:
    """Compile modules of others and keep the result alone.

    Without their texts for readers: these take 1 MiB of the agent's memory.
    """
    for source in list(folder.rglob("*.py")):
        compile_tree(image, source, legacy=True)
        source.unlink()


def compile_tree(image: Image, path: Path, *, legacy: bool = False) -> None:
    """Compile a file or a folder; ``legacy`` puts the result in the source's place, without docstrings and asserts."""
    compiled = compileall.compile_file if path.is_file() else compileall.compile_dir
    is_fine = compiled(
        path,
        quiet=1,
        legacy=legacy,
        optimize=2 if legacy else 0,
        stripdir=str(image.root),
        prependdir="/",
        # By content, not by time: two builds are equal.
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not is_fine:
        sys.exit(f"assemble: {path} cannot be compiled")


# ---- records --------------------------------------------------------------------------------------------------------


def add_package_records(image: Image) -> dict[str, str]:
    """Keep the licences of Debian's packages and tell scanners their versions; return these by package."""
    versions = {}
    records = image.root / "var" / "lib" / "dpkg" / "status.d"
    records.mkdir(parents=True)
    for package in sorted(owning_packages(image)):
        record = run("dpkg-query", "--status", package)
        name = package.partition(":")[0]
        (records / name).write_text(record)
        versions[name] = re.search(r"^Version: (.*)$", record, re.M)[1]  # type: ignore[index] # every record has one
        folder = Path("/usr/share/doc", name)
        if (folder / "copyright").exists():
            image.add(folder / "copyright")
        if folder.is_symlink():  # to the folder of another package from the same source
            (image.root / "usr/share/doc" / name).symlink_to(os.readlink(folder))
    return versions


def owning_packages(image: Image) -> set[str]:
    """Return the Debian packages that files of the image came from."""
    copied = {Path("/", path.relative_to(image.root)) for path in image.root.rglob("*") if path.is_file()}
    copied |= {Path("/usr/lib/cni", name) for name in CHAINED}
    owners = set()
    for listing in Path("/var/lib/dpkg/info").glob("*.list"):
        for line in listing.read_text().splitlines():
            path = Path(line)
            if path in copied or Path(os.path.realpath(path.parent), path.name) in copied:
                owners.add(listing.stem)
                break
    return owners


def report(image: Image, debian: dict[str, str]) -> None:
    """Write the list of contents into the image and print it."""
    sites = [str(path) for path in HOME.glob("lib/python*/site-packages")]
    packages = {each.metadata["Name"]: each.version for each in distributions(path=sites)}
    contents = {
        "processor": os.uname().machine,
        "python": sys.version.split()[0],
        "python_packages": dict(sorted(packages.items())),
        "debian_packages": debian,
        "bytes": image.parts,
    }
    folder = image.root / "usr" / "share" / "vpc-cni"
    folder.mkdir(parents=True)
    text = json.dumps(contents, indent=2) + "\n"
    (folder / "contents.json").write_text(text)
    for name, size in image.parts.items():
        sys.stdout.write(f"{name:<34} {size / 1e6:6.1f} MB\n")
    sys.stdout.write(f"{'total':<34} {tree_bytes(image.root) / 1e6:6.1f} MB\n")


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
