"""IAM roles for pods of a lab's cluster: the account trusts the cluster's tokens, and pods get them.

The webhook is a program to the lab: the one that any cluster may run beside itself (docs/irsa.md), on the control
plane's instance, as a user who may read service accounts and nothing else.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vpc_cni.errors import HostError
from vpc_cni.lab.kubernetes.api import wait_until
from vpc_cni.lab.kubernetes.cluster import Cluster
from vpc_cni.lab.kubernetes.credentials import write_secret
from vpc_cni.lab.kubernetes.plane_commands import ISSUER
from vpc_cni.lab.kubernetes.shape import API_PORT
from vpc_cni.manifests import parse_yaml

Trust = Callable[[str, Mapping[str, Any]], None]

NAME = CONFIGURATION = "pod-identity-webhook"
USER = f"lab:{NAME}"
HOST, PORT = "127.0.0.1", 9443
START_SECONDS = 30.0
_COMMAND = (sys.executable, "-m", "vpc_cni.cli", "addons", "webhook")
_RBAC = "rbac.authorization.k8s.io"
_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_FIELD_MANAGER = "vpc-cni-lab"


async def start_pod_roles(cluster: Cluster, region: str, trust: Trust, progress: Callable[[str], None]) -> None:
    """Let pods made from now on have the roles of their service accounts. Again: nothing more happens.

    Args:
        trust: makes the account trust an issuer with its keys.

    Raises:
        HostError: the API server refuses something, or the webhook does not start; the message has its last words.
    """
    trust(ISSUER, await cluster.api.get("/openid/v1/jwks"))
    program = cluster.plane.programs.get(NAME)
    if program is not None and program.pid is not None:
        return
    for path, document in reader_objects().items():
        await cluster.api.apply(path, document, _FIELD_MANAGER)
    config, folder = cluster.paths.user_config(NAME), cluster.paths.pki / NAME
    pair = cluster.credentials.user(USER)
    write_secret(config, cluster.credentials.kubeconfig(pair, USER, f"https://{HOST}:{API_PORT}"))
    configuration = await _prepare(folder)
    serve = ("serve", "--listen", f"{HOST}:{PORT}", "--region", region, "--folder", str(folder))
    program = cluster.plane.add_program(NAME, (*_COMMAND, *serve, "--kubeconfig", str(config)))
    await program.start()

    async def is_serving() -> bool:
        return "ready on" in program.log.read_text(errors="replace")

    await wait_until(is_serving, f"the start of the {NAME}", START_SECONDS, program.require_running)
    await cluster.api.apply(f"{_CONFIGURATIONS}/{configuration['metadata']['name']}", configuration, _FIELD_MANAGER)
    progress(f"pods get the roles of their service accounts; the account trusts {ISSUER}")


async def _prepare(folder: Path) -> dict[str, Any]:
    """Make the webhook's certificate; return the object that tells the API server of it."""
    prepare = ("prepare", "--host", HOST, "--port", str(PORT), "--folder", str(folder))
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        *prepare,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, said = await process.communicate()
    if process.returncode != 0:
        raise HostError(
            f"the {NAME} cannot be prepared: {said.decode(errors='replace').strip()}",
            hint="it comes with pip install 'vpc-cni[addons]'",
        )
    (document,) = parse_yaml(printed.decode(), NAME)
    return dict(document)


def reader_objects() -> dict[str, dict[str, Any]]:
    """Return, by path, the objects that let the webhook read service accounts. Pure."""
    role = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": USER},
        "rules": [{"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get"]}],
    }
    binding = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": USER},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": USER},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": USER}],
    }
    root = f"/apis/{_RBAC}/v1"
    return {f"{root}/clusterroles/{USER}": role, f"{root}/clusterrolebindings/{USER}": binding}
