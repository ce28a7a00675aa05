"""The add-on's objects in a lab, how its roll-out is read, and images under the names that the objects ask for."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.lab import LabOptions
from vpc_cni.lab.kubernetes.addon import (
    AddonPlace,
    addon_objects,
    find_profile,
    object_path,
    read_rollout,
)
from vpc_cni.lab.kubernetes.images.archive import Image, encode_archive
from vpc_cni.lab.kubernetes.images.renaming import REFERENCE, rename_images
from vpc_cni.lab.kubernetes.installer import require_archive, waiting_reasons

PLACE = AddonPlace("lab-1", "us-west-2", "http://169.254.169.250", {"WARM_IP_TARGET": "3"})


def daemon_set(version: str = "v1.16.2") -> dict[str, Any]:
    return addon_objects(find_profile(version, "1.20.2"), PLACE)[-1]


def test_the_agent_is_told_where_the_labs_cloud_is_and_gets_no_privilege_for_it() -> None:
    (container,) = daemon_set()["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each.get("value") for each in container["env"]}
    assert env["AWS_EC2_ENDPOINT"] == env["AWS_ENDPOINT_URL_STS"] == PLACE.api_endpoint
    assert (env["AWS_REGION"], env["CLUSTER_NAME"], env["WARM_IP_TARGET"]) == ("us-west-2", "lab-1", "3")
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}


def test_a_version_is_the_tag_of_the_images() -> None:
    (container,) = daemon_set("v1.16.2-eksbuild.1")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "localhost/amazon-k8s-cni:v1.16.2-eksbuild.1"


def test_a_version_that_does_not_run_on_the_cluster_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"v1\.16\.0"):
        find_profile("v1.16.0", "1.20.2")


def test_every_object_has_a_path() -> None:
    paths = [object_path(document) for document in addon_objects(find_profile("", "1.20.2"), PLACE)]
    assert "/apis/apps/v1/namespaces/kube-system/daemonsets/aws-node" in paths
    assert "/api/v1/namespaces/kube-system/serviceaccounts/aws-node" in paths
    assert "/apis/rbac.authorization.k8s.io/v1/clusterroles/aws-node" in paths


@pytest.mark.parametrize(
    ("observed", "updated", "available", "complete"),
    [(2, 2, 2, True), (1, 2, 2, False), (2, 1, 2, False), (2, 2, 1, False)],
)
def test_a_roll_out_is_complete_when_all_new_pods_serve(
    observed: int, updated: int, available: int, complete: bool
) -> None:
    status = {"observedGeneration": observed, "desiredNumberScheduled": 2}
    status |= {"updatedNumberScheduled": updated, "numberAvailable": available}
    assert read_rollout({"metadata": {"generation": 2}, "status": status}).is_complete is complete


def test_what_a_container_waits_for_is_told() -> None:
    waiting = {"name": "main", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
    running = {"name": "other", "state": {"running": {}}}
    pod = {"metadata": {"name": "p"}, "status": {"containerStatuses": [waiting, running]}}
    assert waiting_reasons(pod) == ["p/main: ErrImagePull no such image"]


def read_names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        index = tar.extractfile("index.json")
        assert index is not None
        return [entry["annotations"][REFERENCE] for entry in json.loads(index.read())["manifests"]]


def write_layout(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def test_images_get_other_names_and_nothing_else_changes(tmp_path: Path) -> None:
    entries = [{"digest": name, "annotations": {REFERENCE: f"localhost/{name}:v0.1"}} for name in ("a", "b", "c")]
    index = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    old = write_layout(tmp_path / "old.tar", {"blobs/sha256/1": b"program" * 1000, "index.json": index})
    rename_images(old, tmp_path / "new.tar", {"a": "localhost/a:v2", "b": "localhost/b:v2"})
    assert read_names(tmp_path / "new.tar") == ["localhost/a:v2", "localhost/b:v2"]
    with tarfile.open(tmp_path / "new.tar") as tar:
        blob = tar.extractfile("blobs/sha256/1")
        assert blob is not None
        assert blob.read() == b"program" * 1000


def test_an_archive_without_the_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.tar").write_bytes(encode_archive(Image("example.test/own:1", {}, ["/a"])))
    with pytest.raises(CallerError, match="amazon-k8s-cni"):
        rename_images(tmp_path / "own.tar", tmp_path / "new.tar", {"amazon-k8s-cni": "localhost/amazon-k8s-cni:v1"})


def test_a_missing_archive_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match="not built") as caught:
        require_archive(tmp_path / "missing.tar")
    assert "make image" in str(caught.value.hint)


def test_an_installation_needs_a_kubernetes_and_replaces_the_labs_agents() -> None:
    with pytest.raises(CallerError, match="Kubernetes"):
        LabOptions(install="/x.tar")
    options = LabOptions(install="/x.tar", kubernetes=True)
    assert not options.runs_agents
    assert options.awaits_daemonset
