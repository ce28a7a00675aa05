"""The life of a lab's process, from the caller's side: start it, follow its start, wait for its end."""

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress

from vpc_cni.errors import HostError
from vpc_cni.lab import statefile
from vpc_cni.lab.control.wire import follow
from vpc_cni.lab.options import LabOptions, encode_options
from vpc_cni.lab.paths import LabPaths

Progress = Callable[[str], None]

DOWN_SECONDS = 20.0


def start_daemon(options: LabOptions, paths: LabPaths, progress: Progress) -> None:
    """Start the lab's process and follow its start to the end.

    Raises:
        VpcCniError: what the start failed with.
    """
    # The daemon may become root of a user namespace: it must find the same folder as we do.
    environment = {**os.environ, "VPC_CNI_LAB_DIR": str(paths.base)}
    with tempfile.TemporaryFile() as early_words:
        process = subprocess.Popen(
            [sys.executable, "-m", "vpc_cni.lab.daemon"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=early_words,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
        try:
            if _converse(process, options, progress):
                return
        except KeyboardInterrupt:
            end_daemon(paths)
            raise
        finally:
            process.wait()  # at once: the daemon leaves its parent as its first act
        early_words.seek(0)
        words = early_words.read().decode(errors="replace").strip().splitlines()
    reason = words[-1] if words else "it said nothing"
    raise HostError(f"the lab's process ended during its start: {reason}", hint=f"see {paths.log_file}")


def _converse(process: "subprocess.Popen[bytes]", options: LabOptions, progress: Progress) -> bool:
    assert process.stdin is not None  # noqa: S101 - for the type checker
    assert process.stdout is not None  # noqa: S101
    with process.stdin as stdin:
        stdin.write(encode_options(options).encode())
    with process.stdout as stdout:
        return follow(stdout, progress) is not None


def end_daemon(paths: LabPaths) -> None:
    """Ask a lab's process to end, with or without its control socket, and wait until it is gone."""
    identity = statefile.read_state(paths)
    if identity is not None:
        with suppress(ProcessLookupError):
            os.kill(identity.pid, signal.SIGTERM)
        wait_ended(identity, DOWN_SECONDS)


def wait_ended(identity: statefile.DaemonIdentity, timeout_seconds: float) -> None:
    """Wait until a process is gone; kill it when that takes too long.

    Killing is safe: the kernel takes the lab apart with the process.
    """
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    try:
        if identity.is_alive() and not select.select([descriptor], [], [], timeout_seconds)[0]:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], [], [], timeout_seconds)
    finally:
        os.close(descriptor)


def clear_crashed(paths: LabPaths) -> bool:
    """Remove the run folder of a lab whose process is gone; True when there was one."""
    if not paths.root.exists():
        return False
    lock = statefile.acquire_lock(paths)
    cleared = statefile.clear_leftovers(paths)
    statefile.release_lock(paths, lock)
    return cleared
