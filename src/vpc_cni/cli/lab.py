"""``vpc-cni lab``: a VPC on this machine. Parse, call `vpc_cni.lab`, print."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from vpc_cni.cli import lab_faults, lab_kubernetes
from vpc_cni.cli.lab_output import (
    print_check,
    print_document,
    print_nodes,
    print_pods,
    print_status,
    progress_printer,
    say,
)
from vpc_cni.errors import CallerError
from vpc_cni.lab import Lab, LabOptions
from vpc_cni.lab.enter import execute_inside
from vpc_cni.lab.kubernetes.shape import ProxyBackend
from vpc_cni.lab.nodes.environment import parse_override
from vpc_cni.lab.options import CredentialSource
from vpc_cni.lab.paths import lab_paths
from vpc_cni.lab.statefile import list_labs, read_state

app = typer.Typer(help="A VPC on this machine: EC2, instance metadata and packets.", no_args_is_help=True)
pod_app = typer.Typer(help="Pods: add, list, delete.", no_args_is_help=True)
node_app = typer.Typer(help="Nodes: add, list.", no_args_is_help=True)
app.add_typer(pod_app, name="pod")
app.add_typer(node_app, name="node")
app.add_typer(lab_faults.app, name="fault")
app.add_typer(lab_kubernetes.app, name="kubernetes")

DEFAULTS = LabOptions()
Name = Annotated[str, typer.Option("--name", help="Name of the lab; several can be up side by side.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]


@app.command()
def up(
    *,
    nodes: Annotated[int, typer.Option(help="How many nodes.")] = DEFAULTS.nodes,
    instance_type: Annotated[str, typer.Option(help="EC2 instance type of the nodes.")] = DEFAULTS.instance_type,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="ENV=VALUE", help="Environment variable of the agents.")
    ] = None,
    name: Name = DEFAULTS.name,
    vpc_cidr: Annotated[str, typer.Option(help="Address block of the VPC.")] = DEFAULTS.vpc_cidr,
    agents: Annotated[bool, typer.Option(help="Start an agent on each node.")] = True,
    supervise: Annotated[bool, typer.Option(help="Start an agent again when it has died.")] = True,
    port: Annotated[int, typer.Option(help="Port of the EC2 API on 127.0.0.1; 0: any.")] = 0,
    link_delay: Annotated[float, typer.Option(help="Seconds from attaching an ENI until its link appears.")] = 0.0,
    packet_delay: Annotated[float, typer.Option(help="Seconds from then until its packets pass.")] = 0.0,
    describe_lag: Annotated[float, typer.Option(help="How old EC2's describe answers are, in seconds.")] = 0.0,
    metadata_lag: Annotated[float, typer.Option(help="How old instance metadata is, in seconds.")] = 0.0,
    credentials: Annotated[
        CredentialSource, typer.Option(help="Where agents get their credentials from.")
    ] = CredentialSource.INSTANCE,
    seed: Annotated[int, typer.Option(help="Same seed, same addresses and ids.")] = DEFAULTS.seed,
    kubernetes: Annotated[bool, typer.Option("--kubernetes", help="Run a real Kubernetes on the nodes.")] = False,
    install: Annotated[
        bool, typer.Option("--install", help="Install the add-on as its DaemonSet, instead of agents of the lab.")
    ] = False,
    image: Annotated[
        Path, typer.Option(help="With --install: archive of its images, as `make image` builds it.")
    ] = lab_kubernetes.ARCHIVE,
    proxy_backend: Annotated[
        ProxyBackend, typer.Option(help="Which iptables kube-proxy writes its rules with.")
    ] = ProxyBackend.NFT,
) -> None:
    """Start a lab: VPC, nodes, and an agent on each node."""
    options = LabOptions(
        name=name,
        nodes=nodes,
        instance_type=instance_type,
        env=dict(parse_override(text) for text in settings or []),
        vpc_cidr=vpc_cidr,
        agents=agents,
        supervise=supervise,
        port=port,
        link_delay_seconds=link_delay,
        packet_delay_seconds=packet_delay,
        describe_lag_seconds=describe_lag,
        metadata_lag_seconds=metadata_lag,
        seed=seed,
        credentials=credentials,
        kubernetes=kubernetes,
        install=str(image.absolute()) if install else "",
        proxy_backend=proxy_backend,
    )
    with progress_printer() as progress:
        lab = Lab(options, on_progress=progress).up()
    option = "" if name == DEFAULTS.name else f" --name {name}"
    if kubernetes:
        say(f"The lab is up. Try: export KUBECONFIG={lab.kubernetes.kubeconfig}; kubectl get nodes -o wide")
        return
    say(f"The lab is up. Try: vpc-cni lab pod add --count 3{option}; vpc-cni lab check{option}")


@app.command()
def down(
    name: Name = DEFAULTS.name,
    all_labs: Annotated[bool, typer.Option("--all", help="Every lab of this user.")] = False,
) -> None:
    """End a lab; nothing of it is left."""
    names = list_labs(lab_paths(name).base) if all_labs else [name]
    for each in names:
        was_up = read_state(lab_paths(each)) is not None
        Lab(name=each).down()
        say(f'lab "{each}" is down' if was_up else f'lab "{each}" was not up')


@app.command()
def status(name: Name = DEFAULTS.name, as_json: Json = False) -> None:
    """Show nodes, ENIs, pods and faults."""
    document = Lab.attach(name).status()
    if as_json:
        print_document(document)
    else:
        print_status(document)


@app.command()
def check(name: Name = DEFAULTS.name, as_json: Json = False) -> None:
    """Send packets everywhere they must go; exit 1 when one is lost."""
    with progress_printer(quiet=as_json) as progress:
        report = Lab.attach(name, on_progress=progress).call("check")
    if as_json:
        print_document(report)
    else:
        print_check(report)
    raise typer.Exit(0 if report["passed"] else 1)


@app.command()
def env(name: Name = DEFAULTS.name, as_json: Json = False) -> None:
    """Print export lines with which `aws` and boto3 on this machine use the lab's EC2."""
    variables = Lab.attach(name).environment()
    if as_json:
        print_document(variables)
        return
    for key, value in variables.items():
        say(f"export {key}={shlex.quote(value)}")


@app.command()
def role(
    role_name: Annotated[str, typer.Argument(metavar="ROLE", help="Its name.")],
    subject: Annotated[
        str, typer.Option(help="Whose tokens may have it; * and ? stand for any text.")
    ] = "system:serviceaccount:kube-system:aws-node",
    name: Name = DEFAULTS.name,
) -> None:
    """Make an IAM role for pods, or replace its trust, and print its ARN; see `lab kubernetes pod-roles`."""
    say(Lab.attach(name).add_role(role_name, subject))


@app.command(name="exec", context_settings={"allow_interspersed_args": False})
def run_inside(
    where: Annotated[str, typer.Argument(metavar="POD|NODE", help="Where to run it.")],
    command: Annotated[list[str], typer.Argument(metavar="CMD...", help="Program and arguments, after --.")],
    name: Name = DEFAULTS.name,
) -> None:
    """Run a program in the network of a pod or a node."""
    lab = Lab.attach(name)
    document = lab.status()
    places = {each["name"]: each["netns_path"] for each in (*document["nodes"], *document["pods"])}
    if where not in places:
        raise CallerError(f'there is no pod or node "{where}"', hint=f"known: {', '.join(sorted(places))}")
    # The dashes reach us when they follow the place, since options may belong to the command.
    execute_inside(places[where], lab.pid, command[1:] if command[0] == "--" else command)


@app.command()
def logs(
    node: Annotated[str | None, typer.Argument(help="A node, for its agent; without, the lab itself.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines from the end.")] = 50,
    name: Name = DEFAULTS.name,
) -> None:
    """Show the end of the log of an agent or of the lab."""
    path = Path(Lab.attach(name).node(node).agent_log_path) if node else lab_paths(name).log_file
    for line in path.read_text(errors="replace").splitlines()[-lines:]:
        say(line)


@node_app.command("add")
def node_add(
    node: Annotated[str | None, typer.Argument(help="Its name, if it was that of a node that ended.")] = None,
    name: Name = DEFAULTS.name,
    as_json: Json = False,
) -> None:
    """Start one more node and wait until its agent serves."""
    with progress_printer(quiet=as_json) as progress:
        added = Lab.attach(name, on_progress=progress).call("node_add", name=node)
    if as_json:
        print_document(added)


@node_app.command("list")
def node_list(name: Name = DEFAULTS.name, as_json: Json = False) -> None:
    """List nodes."""
    nodes = Lab.attach(name).status()["nodes"]
    if as_json:
        print_document(nodes)
    else:
        print_nodes(nodes)


@pod_app.command("add")
def pod_add(
    node: Annotated[str | None, typer.Argument(help="Node; without, all nodes in turn.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 1,
    pod: Annotated[str | None, typer.Option("--pod", help="Name of the pod (with --count 1).")] = None,
    name: Name = DEFAULTS.name,
    as_json: Json = False,
) -> None:
    """Add pods through the plugin, as a container runtime does."""
    if pod is not None and count != 1:
        raise CallerError("--pod names one pod", hint="leave --count away")
    with progress_printer(quiet=as_json) as progress:
        pods = Lab.attach(name, on_progress=progress).call("pod_add", node=node, count=count, name=pod)
    if as_json:
        print_document(pods)


@pod_app.command("list")
def pod_list(name: Name = DEFAULTS.name, as_json: Json = False) -> None:
    """List pods with their addresses and ENIs."""
    pods = Lab.attach(name).call("pod_list")
    if as_json:
        print_document(pods)
    else:
        print_pods(pods)


@pod_app.command("check")
def pod_check(pod: Annotated[str, typer.Argument(help="Pod.")], name: Name = DEFAULTS.name) -> None:
    """Run the plugins' CHECK of a pod; exit 1 when one finds something wrong."""
    checked = Lab.attach(name).check_pod(pod)
    say(f"{pod} is as it was added" if checked else "the network has CHECK switched off")


@pod_app.command("delete")
def pod_delete(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Pods.")] = None,
    all_pods: Annotated[bool, typer.Option("--all", help="Every pod.")] = False,
    name: Name = DEFAULTS.name,
) -> None:
    """Delete pods through the plugin."""
    if bool(names) == all_pods:
        raise CallerError("name the pods to delete, or say --all")
    with progress_printer() as progress:
        lab = Lab.attach(name, on_progress=progress)
        lab.delete_pod(*(names or [pod.name for pod in lab.pods]))
