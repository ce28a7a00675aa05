"""DescribeAddon beside dead clusters and without, and how soon updates on healthy clusters start.

Two services run side by side, each with as many clusters; to some of the one's nobody gets through. They are asked in
turn (without, with, with, without, ...) for a few seconds each, and the 99th percentile is that of all their samples:
one of a single stretch follows from a handful of requests that met one hiccup of the machine.
"""

import asyncio
import os
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.addons.clusters import BlackHole, Simulation, closed_port
from bench.addons.load import measure
from bench.addons.service import Service, name_of
from bench.figures import Measured
from bench.processes import prefer
from bench.stats import percentile
from vpc_cni.errors import HostError

CLUSTERS, DEAD = 200, 10
REQUESTS_A_SECOND, STRETCH_SECONDS, STRETCHES = 100.0, 4.0, 8
HEALTHY_UPDATES = 20
_WARM_UP_SECONDS = 2.0
_START_LIMIT_SECONDS = 60.0


def measure_addons(_folder: Path) -> list[Measured]:
    """Measure all three figures of the add-on service."""
    with ExitStack() as stack:
        # This process and all that it starts, as in the other measurements.
        prefer(os.getpid())
        # On a disk, as stores are: the folder of the other measurements is in memory.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-addons.", dir="/var/tmp")))
        certificate, key = _make_certificate(folder)
        simulation = Simulation(2 * CLUSTERS, certificate, key)
        stack.callback(simulation.stop)
        without = stack.enter_context(Service(folder / "without", simulation.ports[:CLUSTERS], certificate))
        reached = simulation.ports[CLUSTERS + DEAD :]
        dead = stack.enter_context(Service(folder / "dead", [*_dead_ports(stack), *reached], certificate))
        # The same work on both: an update on the first clusters, which the dead ones of the one never end.
        for index in range(DEAD):
            without.update(index)
            dead.update(index)
        starts = [_start_of_update(dead, simulation, index) for index in range(DEAD, DEAD + HEALTHY_UPDATES)]
        for index in range(DEAD, DEAD + HEALTHY_UPDATES):
            without.update(index)
        at_dead, at_without = _ask_in_turn(dead, without)
    return _figures(at_dead, at_without, starts)


def _ask_in_turn(dead: Service, without: Service) -> tuple[list[float], list[float]]:
    samples: dict[Service, list[float]] = {dead: [], without: []}
    for service in samples:
        _ask(service, _WARM_UP_SECONDS)
    for number in range(STRETCHES):
        for service in (without, dead) if number % 2 == 0 else (dead, without):
            samples[service] += _ask(service, STRETCH_SECONDS)
    return samples[dead], samples[without]


def _ask(service: Service, seconds: float) -> list[float]:
    target = service.describe_addon_requests(int(seconds * REQUESTS_A_SECOND))
    return asyncio.run(measure(target, REQUESTS_A_SECOND))


def _figures(dead: list[float], without: list[float], starts: list[float]) -> list[Measured]:
    """Return the figures in milliseconds. Pure."""
    high, compared, middle = (
        1e3 * each for each in (percentile(dead, 99), percentile(without, 99), percentile(dead, 50))
    )
    note = f"{len(dead)} requests to each service, in {STRETCHES} stretches; {compared:.1f} ms without"
    slowest = 1e3 * max(starts)
    return [
        Measured("addons_describe_p99_ms", high, note=f"median {middle:.1f} ms"),
        Measured("addons_describe_p99_dead_vs_none", high, None, high / compared, note),
        Measured(
            "addons_update_start_ms", slowest, note=f"of {len(starts)}; median {1e3 * percentile(starts, 50):.0f} ms"
        ),
    ]


def _start_of_update(service: Service, simulation: Simulation, index: int) -> float:
    """Return the seconds from the request until the cluster was first written to."""
    simulation.forget_writes()
    asked = time.monotonic()
    service.update(index)
    while not simulation.first_write(CLUSTERS + index):
        if time.monotonic() - asked > _START_LIMIT_SECONDS:
            raise HostError(f"the update on {name_of(index)} does not start")
        time.sleep(0.002)
    return simulation.first_write(CLUSTERS + index) - asked


def _dead_ports(stack: ExitStack) -> list[int]:
    """Return ports of which half refuse, while the others never answer."""
    holes = [BlackHole() for _ in range(DEAD // 2)]
    for hole in holes:
        stack.callback(hole.close)
    return [*(hole.port for hole in holes), *(closed_port() for _ in range(DEAD - len(holes)))]


def _make_certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "tls.crt", folder / "tls.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=bench"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return certificate, key
