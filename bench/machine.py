"""What the figures were measured on."""

import os
import platform
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from bench.peer import PACKAGE, peer_version
from vpc_cni import __version__


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts for the page of results, as text."""

    day: str
    kernel: str
    cpus: int
    cpu_model: str
    memory_gib: int
    python: str
    peer: str
    release: str


def read_machine() -> Machine:
    """Ask this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        day=date.today().isoformat(),  # noqa: DTZ011 - the day where the reader sits
        kernel=platform.release().partition("-")[0],
        cpus=len(os.sched_getaffinity(0)),
        cpu_model=_cpu_model(Path("/proc/cpuinfo").read_text()),
        memory_gib=round(memory / 2**30),
        python=platform.python_version(),
        peer=f"{PACKAGE} {peer_version()}",
        release=__version__,
    )


def _cpu_model(text: str) -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1) if found else platform.machine()
