"""``vpc-cni lab fault``: break things on purpose, list what is broken, mend it."""

from typing import Annotated

import typer

from vpc_cni.cli.lab_output import print_document, print_faults, say
from vpc_cni.errors import CallerError
from vpc_cni.lab import Lab

app = typer.Typer(help="Break things on purpose: EC2, metadata, wires, agents.", no_args_is_help=True)

Name = Annotated[str, typer.Option("--name", help="Name of the lab.")]
Node = Annotated[str, typer.Argument(help="A node.")]
Operation = Annotated[
    str, typer.Argument(help="EC2 operation or pattern, for example Attach* or CreateNetworkInterface.")
]
Device = Annotated[int, typer.Option(help="Device number of the ENI.")]
Times = Annotated[int | None, typer.Option(help="How many calls; without, all until cleared.")]


@app.command()
def throttle(
    read: Annotated[float | None, typer.Option(help="Describe calls a second.")] = None,
    write: Annotated[float | None, typer.Option(help="Mutating calls a second.")] = None,
    name: Name = "default",
) -> None:
    """Answer RequestLimitExceeded above a rate."""
    if read is None and write is None:
        raise CallerError("give --read, --write or both")
    _tell(Lab.attach(name).faults.throttle(read=read, write=write))


@app.command()
def error(
    operation: Operation,
    code: Annotated[str, typer.Argument(help="Error code, for example InternalError.")],
    times: Times = None,
    name: Name = "default",
) -> None:
    """Let EC2 calls fail with an error code."""
    _tell(Lab.attach(name).faults.error(operation, code, times=times))


@app.command()
def lost_answer(
    operation: Operation, times: Annotated[int, typer.Option(help="How many calls.")] = 1, name: Name = "default"
) -> None:
    """Let EC2 calls take effect without an answer."""
    _tell(Lab.attach(name).faults.lost_answer(operation, times=times))


@app.command()
def deny(
    action: Annotated[str, typer.Argument(help="IAM action or pattern, for example ec2:CreateNetworkInterface.")],
    role: Annotated[str, typer.Option(help="Role or pattern.")] = "*",
    name: Name = "default",
) -> None:
    """Take a permission away."""
    _tell(Lab.attach(name).faults.deny(action, role=role))


@app.command()
def latency(
    operation: Operation,
    seconds: Annotated[float, typer.Argument(min=0, help="How much longer the calls take.")],
    name: Name = "default",
) -> None:
    """Make EC2 calls slow."""
    _tell(Lab.attach(name).faults.latency(operation, seconds))


@app.command()
def metadata_lag(seconds: Annotated[float, typer.Argument(min=0)], name: Name = "default") -> None:
    """Let instance metadata be old."""
    _tell(Lab.attach(name).faults.metadata_lag(seconds))


@app.command()
def subnet_full(
    subnet: Annotated[str, typer.Argument(help="Subnet id, or a node whose subnet is meant.")], name: Name = "default"
) -> None:
    """Let a subnet have no free address."""
    _tell(Lab.attach(name).faults.subnet_full(subnet))


@app.command()
def link_down(node: Node, device: Device = 0, name: Name = "default") -> None:
    """Take the carrier from an ENI."""
    _tell(Lab.attach(name).faults.link_down(node, device=device))


@app.command()
def loss(
    node: Node,
    percent: Annotated[int, typer.Argument(min=1, max=100, help="Of the packets, in each direction.")],
    device: Device = 0,
    name: Name = "default",
) -> None:
    """Lose packets of an ENI."""
    _tell(Lab.attach(name).faults.loss(node, percent, device=device))


@app.command()
def kill_agent(node: Node, name: Name = "default") -> None:
    """Send SIGKILL to a node's agent."""
    Lab.attach(name).kill_agent(node)
    say(f"the agent of {node} is dead")


@app.command()
def restart_agent(node: Node, name: Name = "default") -> None:
    """Stop and start a node's agent, as a rolling update does."""
    say(f"the agent of {node} serves again, pid {Lab.attach(name).restart_agent(node)}")


@app.command()
def supervise(node: Node, on: Annotated[bool, typer.Option("--on/--off")] = True, name: Name = "default") -> None:
    """Say whether a dead agent is started again."""
    Lab.attach(name).supervise_agent(node, on)


@app.command("list")
def list_faults(
    name: Name = "default", as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List the faults in force."""
    faults = Lab.attach(name).faults.active()
    if as_json:
        print_document(faults)
    else:
        print_faults(faults)


@app.command()
def clear(
    number: Annotated[int | None, typer.Argument(help="Number of a fault; without, all.")] = None,
    name: Name = "default",
) -> None:
    """End one fault or all."""
    ended = Lab.attach(name).faults.clear(number)
    say(f"{ended} fault{'' if ended == 1 else 's'} ended")


def _tell(number: int) -> None:
    say(f"fault {number} is in force; end it with: vpc-cni lab fault clear {number}")
