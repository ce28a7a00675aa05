"""One cluster with the engine on one side and people with kubectl on the other. No controllers run: tests play them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.contract.manifests.conftest import ApiServer, api_server  # noqa: F401 - a fixture
from vpc_cni.addons.engine import AddonEngine
from vpc_cni.addons.model import Applied, ConflictMode, Desired, Health
from vpc_cni.cluster.client import Cluster, Place
from vpc_cni.cluster.inventory import AGENT, DAEMON_SETS, Reference
from vpc_cni.manifests import (
    Images,
    ImageSet,
    Profile,
    RenderOptions,
    encode_yaml,
    packaged_catalogue,
    parse_addon_version,
    parse_registry,
    plan_images,
    render,
)

NEW = "v1.16.2-eksbuild.1"
OLD = "v1.12.6-eksbuild.2"
REGISTRY = parse_registry("mirror.example.com/team")
OBJECTS = (
    "daemonset/aws-node",
    "configmap/amazon-vpc-cni",
    "serviceaccount/aws-node",
    "clusterrole/aws-node",
    "clusterrolebinding/aws-node",
)


def images_of(image_set: ImageSet) -> Any:
    def images(profile: Profile) -> Images:
        return plan_images(profile, image_set, REGISTRY)

    return images


class Site:
    """A cluster, the engine that acts on it as ``eks``, and kubectl."""

    def __init__(self, server: ApiServer, folder: Path, image_set: ImageSet) -> None:
        self.server, self.folder = server, folder
        self.kubectl = server.kubectl
        self.api = self.log_in("a-token-of-tests")
        self.images = images_of(image_set)
        self.engine = AddonEngine(packaged_catalogue(), self.images)

    def log_in(self, token: str, manager: str = "eks") -> Cluster:
        file = self.folder / f"kubeconfig-{token}"
        ca = self.server.folder / "certificates" / "apiserver.crt"
        document = {
            "current-context": "tests",
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            "clusters": [
                {
                    "name": "tests",
                    "cluster": {
                        "server": f"https://127.0.0.1:{self.server.port}",
                        "certificate-authority": str(ca),
                    },
                }
            ],
            "users": [{"name": "tests", "user": {"token": token}}],
        }
        file.write_text(json.dumps(document))
        return Cluster(Place(file), field_manager=manager)

    def desired(
        self, version: str = NEW, values: Mapping[str, Any] | None = None, role_arn: str | None = None
    ) -> Desired:
        text = None if values is None else json.dumps(values)
        return Desired(version, text, role_arn, kubernetes_version="1.29", ip_family="ipv4")

    def create(self, mode: str = "NONE", **wish: Any) -> Applied:
        return self.engine.install(self.api, self.desired(**wish), ConflictMode(mode), "")

    def update(self, mode: str = "NONE", previous: str = NEW, **wish: Any) -> Applied:
        return self.engine.install(self.api, self.desired(**wish), ConflictMode(mode), previous)

    def observe(self, **wish: Any) -> Health:
        return self.engine.observe(self.api, self.desired(**wish))

    def daemon_set(self) -> dict[str, Any]:
        return self.server.get("daemonset", "aws-node")

    def container(self, name: str = "aws-node") -> dict[str, Any]:
        spec = self.daemon_set()["spec"]["template"]["spec"]
        (found,) = [each for each in spec["initContainers"] + spec["containers"] if each["name"] == name]
        return dict(found)

    def env(self, name: str) -> dict[str, Any] | None:
        """Return the last entry of a variable of aws-node."""
        found = [each for each in self.container()["env"] if each["name"] == name]
        return found[-1] if found else None

    def set_env(self, *assignments: str) -> None:
        self.kubectl(
            "set", "env", "daemonset/aws-node", "--namespace=kube-system", "--containers=aws-node", *assignments
        )

    def patch(self, kind: str, name: str, patch: Any, *, how: str = "strategic") -> None:
        words = ("patch", kind, name, "--namespace=kube-system", f"--type={how}", "--patch", json.dumps(patch))
        self.kubectl(*words)

    def patch_container(self, patch: Mapping[str, Any], name: str = "aws-node") -> None:
        self.patch("daemonset", "aws-node", {"spec": {"template": {"spec": {"containers": [{"name": name, **patch}]}}}})

    def owners(self) -> set[str]:
        """Return who owns fields of the DaemonSet."""
        live = self.api.get(Reference(DAEMON_SETS, AGENT)) or {}
        return {each["manager"] for each in live["metadata"].get("managedFields", ()) if each}

    def kubectl_apply_manifest(self, version: str = OLD, image_set: ImageSet = ImageSet.AWS) -> None:
        """Install as the operators of the reference do: client-side apply of a manifest."""
        profile = packaged_catalogue().find(parse_addon_version(version))
        file = self.folder / "aws-k8s-cni.yaml"
        rendered = render(profile, RenderOptions(plan_images(profile, image_set, parse_registry("old.example.com"))))
        file.write_text(encode_yaml(rendered.objects))
        self.kubectl("apply", "-f", str(file))

    def play_controller(self, *, desired: int = 2, available: int = 2) -> None:
        """Report a roll-out on the nodes there are."""
        live = self.daemon_set()
        live["status"] = {
            "observedGeneration": live["metadata"]["generation"],
            "desiredNumberScheduled": desired,
            "currentNumberScheduled": desired,
            "updatedNumberScheduled": desired,
            "numberAvailable": available,
            "numberUnavailable": desired - available,
            "numberReady": available,
            "numberMisscheduled": 0,
        }
        file = self.folder / "status.json"
        file.write_text(json.dumps(live))
        path = "/apis/apps/v1/namespaces/kube-system/daemonsets/aws-node/status"
        self.kubectl("replace", f"--raw={path}", "-f", str(file))


def _site(server: ApiServer, folder: Path, image_set: ImageSet) -> Iterator[Site]:
    site = Site(server, folder, image_set)
    yield site
    site.api.close()
    server.kubectl("delete", "--ignore-not-found", "--namespace=kube-system", "--now", *OBJECTS)


@pytest.fixture
def site(api_server: ApiServer, tmp_path: Path) -> Iterator[Site]:  # noqa: F811 - the fixture imported above
    """A cluster that has nothing of the add-on but perhaps definitions; the service installs the reference's images."""
    yield from _site(api_server, tmp_path, ImageSet.AWS)


@pytest.fixture
def own_site(api_server: ApiServer, tmp_path: Path) -> Iterator[Site]:  # noqa: F811 - the fixture imported above
    """The same with this project's images."""
    yield from _site(api_server, tmp_path, ImageSet.OWN)
