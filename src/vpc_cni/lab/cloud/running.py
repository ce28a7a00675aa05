"""A cloud that runs on loopback in a thread of its own: for tests and for trying things out.

with RunningCloud() as running:
    boto3.client("ec2", endpoint_url=running.api_url, ...)
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.faces import Faces
from vpc_cni.lab.cloud.http.applications import api_application, metadata_application
from vpc_cni.lab.cloud.http.server import listener, serving

T = TypeVar("T")


class RunningCloud:
    """Serves a cloud's faces at 127.0.0.1 while the context lasts.

    Instance metadata has one peer address here, so ``metadata_of`` names the instance that it answers for.
    """

    def __init__(self, cloud: Cloud | None = None) -> None:
        self.cloud = cloud or Cloud()
        self.faces = Faces(self.cloud, identify=lambda _: self.metadata_of)
        self.metadata_of: str | None = None
        api, metadata = listener("127.0.0.1"), listener("127.0.0.1")
        self._sockets = (api, metadata)
        self.api_url = f"http://127.0.0.1:{api.getsockname()[1]}"
        self.metadata_url = f"http://127.0.0.1:{metadata.getsockname()[1]}"
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=self._run, name="lab-cloud", daemon=True)

    def do(self, work: Callable[[Cloud], T]) -> T:
        """Run ``work`` on the cloud's own thread: the state belongs to it."""
        loop, _ = self._started.result()

        async def on_loop() -> T:
            return work(self.cloud)

        return asyncio.run_coroutine_threadsafe(on_loop(), loop).result()

    def client_arguments(self, service: str = "ec2") -> dict[str, Any]:
        """Return arguments for ``boto3.client``: endpoint, region and the account's lasting keys."""
        admin = self.cloud.identities.admin
        return {
            "service_name": service,
            "endpoint_url": self.api_url,
            "region_name": self.cloud.settings.region,
            "aws_access_key_id": admin.access_key_id,
            "aws_secret_access_key": admin.secret_key,
        }

    def environment(self) -> dict[str, str]:
        """Return variables that make the ``aws`` command and SDKs use this cloud."""
        admin = self.cloud.identities.admin
        return {
            "AWS_ENDPOINT_URL": self.api_url,
            "AWS_REGION": self.cloud.settings.region,
            "AWS_DEFAULT_REGION": self.cloud.settings.region,
            "AWS_ACCESS_KEY_ID": admin.access_key_id,
            "AWS_SECRET_ACCESS_KEY": admin.secret_key,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.metadata_url,
        }

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop, stop = self._started.result()
        loop.call_soon_threadsafe(stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        api, metadata = self._sockets
        stop = asyncio.Event()
        async with (
            serving(api_application(self.faces), [api]),
            serving(metadata_application(self.faces.metadata), [metadata]),
        ):
            self._started.set_result((asyncio.get_running_loop(), stop))
            await stop.wait()
