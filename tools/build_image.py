"""Build the container image without any registry: buildah, on a base system that debootstrap makes. ``make image``.

The base comes from the Debian mirror that this machine uses and is kept in the cache; everything else comes from the
checkout and its wheelhouse. A build that was killed goes on with what it had; one that would change nothing ends at
once. The result is an OCI archive with the agent's image and the init container's, for ``ctr images import``.
Needs root, Debian, buildah and debootstrap. Standard library only.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What Dockerfile asks of its base, and venv with pip for the build.
BASE_PACKAGES = ("ca-certificates", "containernetworking-plugins", "libnftables1", "python3", "python3-venv")
BUILD_PACKAGES = ("hatchling", "editables", "ziglang")
# As .dockerignore lets through.
CONTEXT = (
    "LICENSE",
    "README.md",
    "deploy/image",
    "pyproject.toml",
    "src",
    "tools/hatch_build.py",
    "tools/wheelhouse.txt",
    "uv.lock",
)
PROGRAMS = ("buildah", "debootstrap")
# Set once this program runs in a mount namespace of its own.
OWN_MOUNTS = "VPC_CNI_IMAGE_MOUNTS"
AGENT, INIT = "amazon-k8s-cni", "amazon-k8s-cni-init"


class ImageError(Exception):
    """The image cannot be built here; the text is for people."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is built, and where."""

    output: Path
    registry: str
    tags: tuple[str, ...]
    cache: Path

    @property
    def log(self) -> Path:
        return self.output.with_suffix(".log")

    @property
    def stamp(self) -> Path:
        return self.output.with_suffix(".stamp")


def main(arguments: Sequence[str] | None = None) -> int:
    plan = parse_arguments(arguments)
    if os.geteuid() == 0:
        enter_own_mounts()
    started = time.monotonic()
    os.nice(19)  # a build may take its time; what else this machine does may not wait for it
    try:
        check_machine(os.geteuid())
        plan.output.parent.mkdir(parents=True, exist_ok=True)
        plan.cache.mkdir(parents=True, exist_ok=True)
        with locked(plan.cache / "lock"):
            remove_leftovers(plan)
            build(plan)
    except ImageError as err:
        sys.stderr.write(f"image: {err}\n")
        return 1
    size = plan.output.stat().st_size / 1e6
    say(f"{plan.output}: {size:.1f} MB, {time.monotonic() - started:.0f} s")
    return 0


def enter_own_mounts() -> None:
    """Start this program again in a mount namespace: whatever buildah mounts ends with it, even when it is killed."""
    unshare = shutil.which("unshare")
    if unshare and OWN_MOUNTS not in os.environ:
        os.environ[OWN_MOUNTS] = "1"
        os.execv(unshare, [unshare, "--mount", "--propagation", "private", sys.executable, *sys.argv])  # noqa: S606


def parse_arguments(arguments: Sequence[str] | None) -> Plan:
    version = str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "vpc-cni", "image")
    parser = argparse.ArgumentParser(
        prog="tools/build_image.py", description="Build the container image without a registry."
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "image" / "vpc-cni.tar", help="[%(default)s]")
    parser.add_argument("--registry", default="localhost", help="first part of the images' names [%(default)s]")
    parser.add_argument("--tag", action="append", help=f"may be repeated [v{version}]")
    parser.add_argument("--cache", type=Path, default=cache, help="folder of the base system [%(default)s]")
    given = parser.parse_args(arguments)
    return Plan(given.output.absolute(), given.registry, tuple(given.tag or [f"v{version}"]), given.cache.absolute())


def check_machine(uid: int) -> None:
    """Refuse what cannot work, with what to do."""
    if uid != 0:
        raise ImageError("needs root, for debootstrap; or build with docker: see deploy/image/Dockerfile")
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        raise ImageError(
            f"{' and '.join(missing)} not found; run: apt-get install -y --no-install-recommends {' '.join(missing)}"
        )
    if not (ROOT / ".wheelhouse").is_dir():
        raise ImageError("no .wheelhouse; run: make setup")


def remove_leftovers(plan: Plan) -> None:
    """Remove what a build that was killed has left; the base and its downloads stay."""
    for pattern in ("context-*", "oci-*"):
        for folder in plan.cache.glob(pattern):
            shutil.rmtree(folder)
    if (plan.cache / "storage").is_dir():
        plan.log.write_text("")
        buildah(plan, "rm", "--all")


def build(plan: Plan) -> None:
    """Make the archive unless what is there came from the same files."""
    with tempfile.TemporaryDirectory(prefix="context-", dir=plan.cache) as folder:
        context = Path(folder)
        fill_context(context)
        base = base_name()
        wanted = fingerprint(context, base, plan)
        if plan.output.is_file() and plan.stamp.is_file() and plan.stamp.read_text() == wanted:
            say("current: nothing to do")
            return
        plan.log.write_text("")
        ensure_base(plan, base)
        contents = build_images(plan, context, base)
        export(plan)
        buildah(plan, "rmi", "--prune", "--force")  # images of earlier builds
    plan.stamp.write_text(wanted)
    sys.stdout.write(contents)


# ---- context --------------------------------------------------------------------------------------------------------


def fill_context(context: Path) -> None:
    """Copy what the build reads: sources, and the wheels that it installs."""
    for name in CONTEXT:
        source, target = ROOT / name, context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (context / "wheels").mkdir()
    for wheel in needed_wheels():
        # A link, not a copy: the compiler alone has 90 MB.
        with contextlib.suppress(OSError):
            os.link(wheel, context / "wheels" / wheel.name)
        if not (context / "wheels" / wheel.name).exists():
            shutil.copy(wheel, context / "wheels")


def needed_wheels() -> list[Path]:
    """Return the files of the wheelhouse that the locks name for the image and its build."""
    command = [sys.executable, str(ROOT / "deploy" / "image" / "requirements.py"), "vpc-cni[agent]", *BUILD_PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"the locks do not fit together; run: make lock\n{done.stderr}")
    digests = {part.removeprefix("--hash=sha256:") for part in done.stdout.split() if part.startswith("--hash=")}
    wheels = sorted((ROOT / ".wheelhouse").glob("*.whl"))
    found = [wheel for wheel in wheels if hashlib.sha256(wheel.read_bytes()).hexdigest() in digests]
    names = {line.partition("==")[0] for line in done.stdout.splitlines() if "==" in line}
    missing = names - {wheel.name.partition("-")[0].lower().replace("_", "-").replace(".", "-") for wheel in found}
    if missing:
        raise ImageError(f"no wheel of {', '.join(sorted(missing))} in .wheelhouse; run: make setup")
    return found


def fingerprint(context: Path, base: str, plan: Plan) -> str:
    """Digest all that the archive depends on."""
    digest = hashlib.sha256(f"{base} {plan.registry} {plan.tags}".encode())
    for path in sorted(path for path in context.rglob("*") if path.is_file()):
        name = str(path.relative_to(context))
        # A wheel's name and the lock, which has its digest, say enough.
        content = b"" if name.startswith("wheels/") else path.read_bytes()
        digest.update(f"{name} {path.stat().st_mode & 0o111} {len(content)}\n".encode() + content)
    return digest.hexdigest()


# ---- base -----------------------------------------------------------------------------------------------------------


def base_name() -> str:
    """Return the base's name, which changes with what is in it."""
    digest = hashlib.sha256(" ".join(BASE_PACKAGES).encode()).hexdigest()[:12]
    return f"base-{suite()}-{platform.machine()}-{digest}"


def suite() -> str:
    """Return this machine's release of Debian: its Python is the one that the wheelhouse has wheels for."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    if release.get("ID", "").strip('"') != "debian":
        raise ImageError("needs a Debian machine; elsewhere build with docker: see deploy/image/Dockerfile")
    return release["VERSION_CODENAME"].strip('"')


def mirror() -> list[str]:
    """Return the Debian mirror that apt uses here, as an argument of debootstrap; nothing when that is not known."""
    command = ["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [line.split() for line in done.stdout.splitlines()]
    return [uri for name, component, uri in found if (name, component) == (suite(), "main")][:1]


def ensure_base(plan: Plan, base: str) -> None:
    """Have the base as an image in buildah's storage, made by debootstrap the first time."""
    if buildah(plan, "images", "--quiet", "--filter", f"reference=localhost/{base}", capture=True).strip():
        return
    root = plan.cache / base
    if not root.is_dir():
        say("making the base system, once: debootstrap, one to two minutes")
        partial, packages = plan.cache / f"{base}.partial", plan.cache / "debs"
        shutil.rmtree(partial, ignore_errors=True)
        packages.mkdir(exist_ok=True)  # downloads of a build that was killed
        include = ",".join(BASE_PACKAGES)
        run(
            plan,
            "debootstrap",
            "--variant=minbase",
            f"--include={include}",
            f"--cache-dir={packages}",
            suite(),
            str(partial),
            *mirror(),
        )
        shutil.rmtree(packages)
        for name in ("usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt/lists"):
            shutil.rmtree(partial / name, ignore_errors=True)
        partial.rename(root)
    say("taking the base system into buildah's storage")
    container = buildah(plan, "from", "scratch", capture=True).strip()
    buildah(plan, "add", "--quiet", container, str(root), "/")
    buildah(plan, "commit", "--quiet", "--rm", container, f"localhost/{base}")


# ---- images ---------------------------------------------------------------------------------------------------------


def build_images(plan: Plan, context: Path, base: str) -> str:
    """Build both images; return the list of contents that the build printed."""
    say("building the image")
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # buildah allows 1,024; the compiler needs more
    output = buildah(
        plan,
        *(
            "bud",
            "--pull-never",
            "--layers=false",
            "--timestamp=0",
            "--target=agent",
            "--file",
            "deploy/image/Dockerfile",
        ),
        f"--ulimit=nofile={open_files}:{open_files}",
        *("--build-arg", f"PYTHON_IMAGE=localhost/{base}", "--build-arg", "PIP_NO_INDEX=1"),
        *("--build-arg", "PIP_FIND_LINKS=/src/wheels", "--tag", f"localhost/{AGENT}", str(context)),
        capture=True,
    )
    # The target `init` of the Dockerfile, without building everything a second time.
    container = buildah(plan, "from", "--pull-never", f"localhost/{AGENT}", capture=True).strip()
    buildah(plan, "config", "--entrypoint", json.dumps(["/app/aws-vpc-cni-init"]), container)
    buildah(plan, "commit", "--quiet", "--rm", "--timestamp=0", container, f"localhost/{INIT}")
    return "".join(f"{line}\n" for line in output.splitlines() if line.endswith(" MB"))


def export(plan: Plan) -> None:
    """Write both images under all their names into one archive; what they share is in it once."""
    say("writing the archive")
    with tempfile.TemporaryDirectory(prefix="oci-", dir=plan.cache) as folder:
        for name in (AGENT, INIT):
            for tag in plan.tags:
                target = f"oci:{folder}:{plan.registry}/{name}:{tag}"
                buildah(plan, "push", "--quiet", f"localhost/{name}", target)
        staged = plan.output.with_suffix(".partial")
        with tarfile.open(staged, "w") as archive:
            for path in sorted(Path(folder).rglob("*")):
                archive.add(path, str(path.relative_to(folder)), recursive=False, filter=without_origin)
        staged.replace(plan.output)


def without_origin(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Drop what would make two archives of the same images differ."""
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


# ---- processes ------------------------------------------------------------------------------------------------------


def buildah(plan: Plan, *arguments: str, capture: bool = False) -> str:
    """Run buildah on storage of its own, so that nothing else on this machine is touched."""
    storage = ("--root", str(plan.cache / "storage"), "--runroot", str(plan.cache / "run"))
    return run(plan, "buildah", *storage, *arguments, capture=capture)


def run(plan: Plan, *command: str, capture: bool = False) -> str:
    """Run a program; its output goes to the log, and standard output is returned too when asked for."""
    environ = {**os.environ, "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
    with plan.log.open("a") as log:
        log.write(f"$ {' '.join(command)}\n")
        log.flush()
        done = subprocess.run(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else log,
            stderr=log,
            text=True,
            check=False,
        )
        log.write(done.stdout or "")
    if done.returncode != 0:
        last = "".join(f"  {line}\n" for line in plan.log.read_text(errors="replace").splitlines()[-20:])
        raise ImageError(
            f"{command[0]} failed with status {done.returncode}; the whole output is in {plan.log}\n{last}"
        )
    return done.stdout or ""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file: a second build waits for the first."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    sys.stdout.write(f"image: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
