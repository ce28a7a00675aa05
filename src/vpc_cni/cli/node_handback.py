"""``vpc-cni node handback`` and ``takeover``: give the node back to the reference implementation, and take it again.

A running agent does the work itself, asked through a file of its folder; else the command does, under the agent's lock.
The agent's modules are loaded when they are needed: ``vpc-cni node status`` shall start fast.
"""

import dataclasses
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vpc_cni.errors import HostError, RefusedError, VpcCniError
from vpc_cni.netlink.xt_tables import Iptables

if TYPE_CHECKING:
    from vpc_cni.agent.handback import Handback, HandbackFiles
    from vpc_cni.agent.steps import Reach

_PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.05

RunDir = Annotated[Path, typer.Option(envvar="VPC_CNI_RUN_DIR", help="The agent's folder on this node.")]
Store = Annotated[
    Path, typer.Option(envvar="AWS_VPC_K8S_CNI_BACKING_STORE", help="The reference's checkpoint, ipam.json.")
]
DEFAULT_RUN_DIR = Path("/var/run/aws-node")
DEFAULT_STORE = Path("/var/run/aws-node/ipam.json")


def handback(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    iptables: Annotated[
        Iptables | None, typer.Option(help="Where to make the chains; by default where the reference had them.")
    ] = None,
    run_dir: RunDir = DEFAULT_RUN_DIR,
    backing_store: Store = DEFAULT_STORE,
    crash_at: Annotated[str, typer.Option(envvar="VPC_CNI_CRASH_AT", hidden=True)] = "",
) -> None:
    """Give this node back: the reference's chains and ipam.json, then no table of ours. Pods go on undisturbed.

    Run it on the node, before the reference's DaemonSet comes. The agent stops serving and leaves the node alone until
    the reference has run here or `vpc-cni node takeover` is called. Exit status 4: not confirmed.
    """
    from vpc_cni.agent.handback import Handback, HandbackFiles, Phase  # noqa: PLC0415 - see above
    from vpc_cni.agent.steps import crash_at as step_at  # noqa: PLC0415 - see above

    if not yes:
        _confirm()
    asked = Handback(Phase.ASKED, iptables)
    done = perform_handback(HandbackFiles(run_dir, backing_store), run_dir, asked, step_at(crash_at))
    typer.echo(f"handed back: chains in iptables-{done.iptables}, pods in {backing_store}; our table is gone")


def _confirm() -> None:
    """Ask.

    Raises:
        RefusedError: not confirmed, or nobody is there to be asked.
    """
    try:
        is_sure = typer.confirm("New pods of this node will wait for the other implementation. Hand back?")
    except typer.Abort:
        is_sure = False
    if not is_sure:
        raise RefusedError("not confirmed, nothing was changed", hint="--yes hands back without asking")


def takeover(run_dir: RunDir = DEFAULT_RUN_DIR, backing_store: Store = DEFAULT_STORE) -> None:
    """Let the agent serve here again after a hand-back; it takes over within seconds, or when it starts."""
    from vpc_cni.agent.handback import HandbackFiles  # noqa: PLC0415 - see above

    files = HandbackFiles(run_dir, backing_store)
    if files.state() is None:
        typer.echo("this node is not handed back: nothing to do")
        return
    files.note(None)
    typer.echo("the agent may take this node over")


def perform_handback(files: "HandbackFiles", run_dir: Path, asked: "Handback", reach: "Reach") -> "Handback":
    """Have the node handed back by its agent, or do it here when none runs.

    Raises:
        VpcCniError: it was not handed back; our table stands.
    """
    from vpc_cni.agent.handback import Phase, drop_our_table, hand_back  # noqa: PLC0415 - see above
    from vpc_cni.agent.run_folder import lock_run_folder  # noqa: PLC0415 - see above

    state = files.state()
    if state is not None and state.phase is Phase.DONE and not files.is_ours():
        drop_our_table()
        return state
    try:
        lock = lock_run_folder(run_dir)
    except HostError:
        # The digest stays: by it a file that an earlier, killed command wrote is known.
        files.note(dataclasses.replace(asked, checkpoint=state.checkpoint if state is not None else ""))
        return _await_agent(files)
    try:
        return hand_back(files, asked, reach)
    except VpcCniError:
        files.note(None)  # else the next agent would try the same again
        raise
    finally:
        os.close(lock)


def _await_agent(files: "HandbackFiles") -> "Handback":
    from vpc_cni.agent.handback import Phase  # noqa: PLC0415 - see above

    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        state = files.state()
        if state is not None and state.phase is Phase.DONE:
            return state
        if state is not None and state.phase is Phase.FAILED:
            raise HostError(f"the agent could not hand back: {state.problem}", hint="it serves on; see its log")
        time.sleep(_POLL_SECONDS)
    raise HostError(
        f"the agent did not answer within {_PATIENCE_SECONDS:.0f} s", hint="it hands back when it stops or starts next"
    )
