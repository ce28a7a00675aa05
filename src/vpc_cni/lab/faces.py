"""The lab's servers: EC2, STS and instance metadata, at the places where nodes and people look for them."""

from vpc_cni.lab.cloud import Cloud
from vpc_cni.lab.namespaces import NetnsFolder


class Faces:
    """Starts and stops the servers of one cloud."""

    def __init__(self, cloud: Cloud, folder: NetnsFolder, router: str) -> None:
        self._cloud = cloud
        self._folder = folder
        self._router = router
        self.ec2_port = 80

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def describe(self) -> dict[str, object]:
        return {}

    def client_environment(self) -> dict[str, str]:
        return {}
