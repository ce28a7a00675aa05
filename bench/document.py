"""The page docs/benchmarks.md: last results, what they were measured on, and how. Pure."""

from collections.abc import Sequence

from bench.figures import BY_NAME, Measured
from bench.machine import Machine
from bench.report import row_of
from bench.rounds import Sizes

_METHOD = """\
## Method

- One run measures both sides in turn (ours, peer, ours, peer, ...), so what else the machine does meets both. Compare
  ratios, not milliseconds of different runs.
- A call is timed as a container runtime sees it: from before the plugin process is started until its exit has been
  seen. One driver does that for both sides, with `posix_spawn`, from a process that already stands in the node's
  network namespace. Pod namespaces are fresh for each call, and made and freed outside the timed parts.
- Ours: the plugin `aws-cni` and the agent on a node of the lab, type m5.24xlarge (735 pod addresses, all of them held
  by the node), `IP_COOLDOWN_PERIOD=0`. `rss_1000_mib` uses the type `lab.max`.
- Peer: `ptp` with `host-local`, the same specification version, no `ipMasq`, MTU 9001, its files on a tmpfs, in a
  namespace of its own. It configures a pair of links and three routes; ours adds policy rules and SNAT, and asks
  an agent.
- No chained plugins on either side. Before the first round a packet from the node must reach a pod of each side.
- Eight workers: eight calls are always under way; the driver has one thread.
- A link is gone when the kernel says so (its announcement, or a look by name), not when DEL returns.
- Drivers, plugins of both sides and the agent run at raised priority (nice -15), so that other work of the machine
  disturbs less.
- CPU time: all plugin processes with what they start, and all threads of the agent, in the churn.
- Add-on service: two services side by side, each with 200 simulated clusters (TLS, on loopback), of which 5 refuse and
  5 never answer at the one. They are asked in turn, without, with, with, without, a few seconds each, and a percentile
  is that of all samples of a service: that of one stretch follows from the few requests that met one hiccup of the
  machine. Requests leave at their time whether or not earlier ones have been answered, and wait from that time on.
- First address: EC2 calls and the appearance of links are slowed down by known times; these are taken off.

`make bench` runs everything (about six minutes, as root) and rewrites this page. `make bench ARGS="--quick"` is a
short look and leaves this page alone, as does `ARGS="--only add_p50_w1"`.
"""


def render_page(results: Sequence[Measured], machine: Machine, sizes: Sizes, seconds: float) -> str:
    """Return the page as Markdown."""
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Written by `make bench`; do not edit. Our plugin and agent beside the reference plugins `ptp` and",
            "`host-local`.",
            "",
            "![ours beside the peer](benchmarks.svg)",
            "",
            "| Figure | Unit | Ours | Peer | Ratio | Bar | |",
            "|---|---|--:|--:|--:|---|---|",
            *(_line(each) for each in results),
            "",
            "## What they mean",
            "",
            *(f"- `{each.name}`: {_meaning(each)}." for each in results),
            "",
            "## Measured on",
            "",
            *_facts(machine, sizes, seconds),
            "",
            _METHOD,
        ]
    )


def _line(measured: Measured) -> str:
    figure = BY_NAME[measured.name]
    name, *rest = row_of(figure, measured)
    return " | ".join([f"| `{name}`", *rest]) + " |"


def _meaning(measured: Measured) -> str:
    meaning = BY_NAME[measured.name].meaning
    return f"{meaning} ({measured.note})" if measured.note else meaning


def _facts(machine: Machine, sizes: Sizes, seconds: float) -> list[str]:
    return [
        f"- {machine.day}, vpc-cni {machine.release}, whole run {seconds:.0f} s, {sizes.rounds} rounds",
        f"- Linux {machine.kernel}, {machine.cpus} CPUs ({machine.cpu_model}), {machine.memory_gib} GiB",
        f"- Python {machine.python}; peer: Debian's {machine.peer}",
    ]
