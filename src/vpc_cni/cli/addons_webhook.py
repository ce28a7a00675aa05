"""``vpc-cni addons webhook``: pods of service accounts with a role get its token, as EKS does it."""

import contextlib
import os
import signal
import ssl
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from vpc_cni.addons.server.options import parse_address
from vpc_cni.addons.webhook import WebhookServer, make_certificate, webhook_configuration
from vpc_cni.addons.webhook.registration import PATH
from vpc_cni.addons.webhook.serving import account_reader
from vpc_cni.cli._self_managed_options import ContextOption, KubeconfigOption
from vpc_cni.cluster.client import Cluster, find_place
from vpc_cni.errors import ConfigurationError, HostError
from vpc_cni.manifests import encode_yaml

_FOLDER = Path("/var/lib/vpc-cni-webhook")
_CERTIFICATE, _KEY = "webhook.crt", "webhook.key"
# The API server waits five seconds for the whole answer.
_READ_SECONDS = 3.0

app = typer.Typer(help="Give pods the IAM roles of their service accounts.", no_args_is_help=True)

FolderOption = Annotated[Path, typer.Option(metavar="FOLDER", help="Of certificate and key.")]


@app.command()
def prepare(
    *,
    host: Annotated[list[str], typer.Option(metavar="NAME", help="As the API server reaches it; repeatable.")],
    port: Annotated[int, typer.Option(metavar="PORT", min=1, max=65535)] = 9443,
    folder: FolderOption = _FOLDER,
) -> None:
    """Make a certificate unless there is one, and print the object that tells the API server of the webhook."""
    certificate = _certificate(folder, host)
    shown = f"[{host[0]}]" if ":" in host[0] else host[0]
    typer.echo(encode_yaml([webhook_configuration(f"https://{shown}:{port}{PATH}", certificate)]), nl=False)


@app.command()
def serve(
    *,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT")] = "127.0.0.1:9443",
    region: Annotated[str, typer.Option(metavar="REGION", help="Given to pods that name none.")] = "",
    folder: FolderOption = _FOLDER,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
) -> None:
    """Answer the API server until SIGTERM or SIGINT. Its user needs to get serviceaccounts in all namespaces."""
    cluster = Cluster(
        find_place(os.environ, Path.home(), kubeconfig=kubeconfig, context=context), timeout_seconds=_READ_SECONDS
    )
    address, endings = parse_address(listen, "--listen"), {signal.SIGTERM, signal.SIGINT}
    try:
        server = WebhookServer(
            (address.host, address.port), folder / _CERTIFICATE, folder / _KEY, account_reader(cluster), region
        )
    except (OSError, ssl.SSLError) as err:
        raise HostError(
            f"cannot serve on {listen}: {err}", hint="vpc-cni addons webhook prepare makes the certificate"
        ) from err
    with contextlib.closing(cluster), server:
        # Of all threads: one that is not blocked somewhere ends the process instead of waking who waits for it.
        signal.pthread_sigmask(signal.SIG_BLOCK, endings)
        thread = threading.Thread(target=server.serve_forever, name="webhook")
        thread.start()
        typer.echo(f"ready on {listen}")
        signal.sigwait(endings)
        server.shutdown()
        thread.join()


def _certificate(folder: Path, hosts: list[str]) -> bytes:
    file = folder / _CERTIFICATE
    try:
        if file.exists():
            return file.read_bytes()
        made = make_certificate(hosts, datetime.now(UTC))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The certificate comes last: that it is there says that the key is.
        _put(folder / _KEY, made.key)
        _put(file, made.certificate)
    except ValueError as err:
        raise ConfigurationError(f"{', '.join(hosts)}: no names or addresses for a certificate: {err}") from err
    except OSError as err:
        raise HostError(f"the certificate in {folder} cannot be made or read: {err.strerror}") from err
    return made.certificate


def _put(file: Path, content: bytes) -> None:
    """Write a file for its owner alone, whole or not at all, whatever was there before."""
    descriptor, fresh = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(fresh).replace(file)
    except OSError:
        Path(fresh).unlink(missing_ok=True)
        raise
