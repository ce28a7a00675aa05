"""The API on a socket, with a store in a file, and somebody who plays the worker."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import uvicorn
from api_shapes import check_answer
from botocore.config import Config

from vpc_cni.addons.api import Bounds, ImageSource, Service, api_application
from vpc_cni.addons.model import ClusterRecord, Issue, Network, Owner
from vpc_cni.addons.states import End
from vpc_cni.addons.store import Store, sqlite_url
from vpc_cni.manifests import ImageSet, packaged_catalogue, parse_registry

KEY, SECRET = "AKIAEXAMPLE000000001", "a-secret-that-is-nowhere-else"
ACCOUNT, REGION = "111122223333", "us-west-2"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/AmazonEKSVPCCNIRole"


class Site:
    """A running API."""

    def __init__(
        self, folder: Path, url: str, clock: Callable[[], float] = time.time, store_url: str = "", **options: Any
    ) -> None:
        self.store = Store(store_url or sqlite_url(folder / "store.db"))
        self.url = url
        self.service = Service(
            store=self.store,
            owner=Owner(ACCOUNT, REGION),
            catalogue=packaged_catalogue(),
            images=ImageSource(ImageSet.OWN, parse_registry("registry.example.com")),
            secret_of={KEY: SECRET}.get,
            clock=clock,
            **options,
        )

    def register(self, name: str, version: str = "1.29", **fields: Any) -> str:
        """Write a cluster's record; return its name."""
        issuer = f"https://oidc.eks.{REGION}.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
        record = ClusterRecord(
            name=name,
            uid=f"uid-of-{name}",
            version=version,
            endpoint="https://10.0.0.1:6443",
            certificate_authority="Q0VSVElGSUNBVEU=",
            created_at=1703780359.7,
            role_arn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
            issuer=issuer,
            network=fields.pop("network", Network(vpc_id="vpc-1", subnet_ids=("subnet-1",))),
            **fields,
        )
        self.store.clusters.add(record)
        return name

    def end_work(self, end: End = End.DONE, issues: Sequence[Issue] = ()) -> None:
        """Play the worker: end all work that there is."""
        while (lease := self.store.leases.claim("test", 60.0, unreachable=False)) is not None:
            self.store.leases.finish(lease, end, issues)

    def client(self, *, key: str = KEY, secret: str = SECRET, region: str = REGION, **config: Any) -> Any:
        """Return a boto3 client; every answer that it gets is checked against the service model."""
        client = boto3.client(
            "eks",
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 0}, **config),
        )
        client.meta.events.register("before-parse.eks", _check)
        return client


def _check(operation_model: Any, response_dict: Any, **_: Any) -> None:
    check_answer(operation_model.name, response_dict["status_code"], response_dict["headers"], response_dict["body"])


@contextmanager
def running(folder: Path, bounds: Bounds | None = None, **options: Any) -> Iterator[Site]:
    """Serve in a thread while the context lasts."""
    opened = socket.create_server(("127.0.0.1", 0))
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    site = Site(folder, f"http://127.0.0.1:{opened.getsockname()[1]}", **options)
    config = uvicorn.Config(api_application(site.service, bounds), log_config=None, access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[opened])), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        site.store.close()
        opened.close()
    assert not thread.is_alive()
