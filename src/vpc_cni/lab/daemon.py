"""The process that is the lab: ``python -m vpc_cni.lab.daemon``, started by `lab up`, options as JSON on stdin.

It reports its start on stdout in lines of the control protocol and closes stdout when the lab is up (or has failed);
everything later goes to the log. Its death, however it comes, ends the lab: see `namespaces` and `launcher`.
"""

import asyncio
import logging
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress

from vpc_cni.errors import CallerError, HostError, InternalError, VpcCniError
from vpc_cni.lab import mounts, statefile
from vpc_cni.lab.control.server import ControlServer
from vpc_cni.lab.control.wire import encode_error, encode_line
from vpc_cni.lab.namespaces import NetnsFolder
from vpc_cni.lab.operations import Operations
from vpc_cni.lab.options import LabOptions, parse_options
from vpc_cni.lab.paths import LabPaths, lab_paths
from vpc_cni.lab.rootless import become_root
from vpc_cni.lab.world import World

log = logging.getLogger(__name__)


def main() -> int:
    """Run one lab to its end; the exit status is 0 when it was up."""
    # The starter goes on to other things: it shall neither be this process's parent nor have to bury it.
    if os.fork():
        os._exit(0)
    reporter = Reporter(sys.stdout.fileno())
    try:
        options = parse_options(sys.stdin.read())
        paths = lab_paths(options.name)
        lock = statefile.acquire_lock(paths)
    except VpcCniError as err:
        reporter.finish(encode_error(err))
        return 1
    failure = run_lab(options, paths, reporter)
    if paths.nodes.is_mount():
        mounts.detach(paths.nodes)
    if failure is None:  # the log of a failed start is still wanted; the next start removes it
        shutil.rmtree(paths.root, ignore_errors=True)
    statefile.release_lock(paths, lock)
    if failure is not None:
        reporter.finish(encode_error(failure))
    return 0 if failure is None else 1


def run_lab(options: LabOptions, paths: LabPaths, reporter: "Reporter") -> VpcCniError | None:
    """Run a lab from its mounts to its end and return why it never came up, or None. Nothing of it is left."""
    try:
        raise_descriptor_limit()
        if options.kubernetes and os.geteuid() != 0:
            raise CallerError("a Kubernetes in the lab needs root", hint="run it as root, or without --kubernetes")
        become_root()
        folder = prepare(paths, reporter.progress)
        asyncio.run(serve(options, paths, folder, reporter))
    except BaseException as err:  # the process border: whatever it is, the starter must hear of it
        failure = find_cause(err)
        log.error("the lab ends: %s", failure, exc_info=isinstance(failure, InternalError))
        paths.state_file.unlink(missing_ok=True)
        return failure
    return None


class Reporter:
    """Tells the starter how the start goes, then lets go of its pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def progress(self, text: str) -> None:
        log.info("%s", text)
        self._write(encode_line({"progress": text}))

    def finish(self, line: bytes) -> None:
        """Send the last line. From here on stdout is the log."""
        self._write(line)
        os.dup2(2, 1)
        self._descriptor = None

    def _write(self, line: bytes) -> None:
        if self._descriptor is not None:
            with suppress(BrokenPipeError):  # the starter did not wait
                os.write(self._descriptor, line)


def raise_descriptor_limit() -> None:
    """Allow as many open files as the machine permits: each namespace takes one."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def prepare(paths: LabPaths, progress: Callable[[str], None]) -> NetnsFolder:
    """Take the run folder over, with the lock held, and make the private mounts. No thread may run yet."""
    if statefile.clear_leftovers(paths):
        progress("removed what an earlier lab of this name left behind")
    paths.root.mkdir(mode=0o755)
    folder = NetnsFolder(paths.namespaces)
    folder.mount()
    paths.nodes.mkdir()
    with suppress(HostError):  # the first plugin that cannot run says so
        mounts.allow_programs(paths.nodes)
    statefile.write_state(paths, statefile.current_identity())
    start_log(paths)
    return folder


def start_log(paths: LabPaths) -> None:
    """Send the log and stderr to the lab's file."""
    stream = paths.log_file.open("a")
    os.dup2(stream.fileno(), 2)
    logging.basicConfig(
        stream=stream, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )


async def serve(options: LabOptions, paths: LabPaths, folder: NetnsFolder, reporter: Reporter) -> None:
    """Build the world, serve its control socket until someone ends it, and take it apart."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    world = World(options, paths, folder)
    control = ControlServer(Operations(world, ended.set).table())
    try:
        await unless_ended(world.up(reporter.progress), ended)
        await control.start(paths.control_socket)
        reporter.finish(encode_line({"result": {"pid": os.getpid()}}))
        await ended.wait()
    finally:
        control.stop()
        await world.down()


async def unless_ended(work: Coroutine[object, object, None], ended: asyncio.Event) -> None:
    """Run the start, but give it up when someone ends the lab meanwhile.

    Raises:
        CallerError: it was given up.
    """
    start, end = asyncio.create_task(work), asyncio.create_task(ended.wait())
    await asyncio.wait((start, end), return_when=asyncio.FIRST_COMPLETED)
    end.cancel()
    if not start.done():
        start.cancel()
        await asyncio.wait((start,))
        raise CallerError("the lab was ended during its start")
    start.result()


def find_cause(error: BaseException) -> VpcCniError:
    """Return the first error of ours inside an exception, or an internal one that names it."""
    if isinstance(error, VpcCniError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return find_cause(error.exceptions[0])
    return InternalError(f"{type(error).__name__}: {error}", hint="see the daemon's log")


if __name__ == "__main__":
    sys.exit(main())
