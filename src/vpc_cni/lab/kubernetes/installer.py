"""Installs the add-on into a lab's cluster as its users do: images on the nodes, objects applied, roll-out awaited."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from vpc_cni.errors import CallerError, HostError
from vpc_cni.lab.kubernetes.addon import (
    DAEMON_SET_PATH,
    FIELD_MANAGER,
    AddonPlace,
    addon_images,
    addon_objects,
    find_profile,
    object_path,
    read_rollout,
)
from vpc_cni.lab.kubernetes.api import ApiError, Json, wait_until
from vpc_cni.lab.kubernetes.cluster import Cluster
from vpc_cni.lab.kubernetes.images.renaming import rename_images
from vpc_cni.manifests import Profile

Progress = Callable[[str], None]

# Where `make image` leaves the archive in a checkout.
DEFAULT_ARCHIVE = Path(__file__).parents[4] / "build" / "image" / "vpc-cni.tar"
ROLLOUT_SECONDS = 90.0


def require_archive(archive: Path) -> None:
    """Raises CallerError when the image has not been built."""
    if not archive.is_file():
        raise CallerError(
            f"the add-on's image is not built: {archive} is no file", hint="run `make image` in the checkout first"
        )


async def install_addon(cluster: Cluster, place: AddonPlace, archive: Path, version: str, progress: Progress) -> str:
    """Bring a version of the add-on onto every node; return its version.

    One that is there already is updated, which rolls the DaemonSet when something in it changes.

    Args:
        archive: what `make image` builds; whatever its tags are, its images get those of ``version``.
        version: empty for the newest that the cluster runs.

    Raises:
        CallerError: no archive, or no such version.
        ConfigurationError: the version does not run on this cluster, or a variable is wrong.
        HostError: a node or the API server refuses something, or the roll-out took too long.
    """
    require_archive(archive)
    profile = find_profile(version, cluster.version)
    objects = addon_objects(profile, place)
    await cluster.load_images([await name_archive(cluster, archive, profile)], progress)
    for document in objects:
        await cluster.api.apply(object_path(document), document, FIELD_MANAGER)
        progress(f"applied {document['kind']} {document['metadata']['name']}")
    await wait_rolled_out(cluster, progress)
    cluster.has_network = True
    await cluster.wait_ready(progress)
    return str(profile.version)


async def name_archive(cluster: Cluster, archive: Path, profile: Profile) -> Path:
    """Return a copy of the archive whose images have the names that the manifests of a version ask for."""
    names = {image.repository: str(image) for image in addon_images(profile).all}
    cluster.paths.images.mkdir(parents=True, exist_ok=True)
    target = cluster.paths.images / f"vpc-cni-{profile.version}.tar"
    await asyncio.to_thread(rename_images, archive, target, names)
    return target


async def wait_rolled_out(cluster: Cluster, progress: Progress) -> None:
    """Wait until every node serves with a pod of the newest kind; says each step.

    Raises:
        HostError: it took too long; the message has what the pods say.
    """
    said = ""

    async def is_complete() -> bool:
        nonlocal said
        rollout = read_rollout(await cluster.api.get(DAEMON_SET_PATH))
        if rollout.is_seen and str(rollout) != said:
            said = str(rollout)
            progress(said)
        return rollout.is_complete and rollout.wanted >= len(cluster.nodes)

    try:
        await wait_until(is_complete, "the roll-out of aws-node", ROLLOUT_SECONDS, cluster.require_running)
    except ApiError:
        raise
    except HostError as err:
        raise HostError(f"{err.message}; {said}; {await _say_why(cluster)}", hint=err.hint) from err


async def _say_why(cluster: Cluster) -> str:
    """Return why containers of the add-on's pods do not run, as kubelet tells it."""
    try:
        pods = await cluster.api.get("/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Daws-node")
    except ApiError as err:
        return str(err)
    return "; ".join(line for pod in pods["items"] for line in waiting_reasons(pod)) or "its pods say nothing"


def waiting_reasons(pod: Json) -> list[str]:
    """Return one line for each container of a pod that waits. Pure."""
    status = pod.get("status", {})
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return [
        f"{pod['metadata']['name']}/{each['name']}: {waiting.get('reason', '')} {waiting.get('message', '')}".strip()
        for each in containers
        if (waiting := each.get("state", {}).get("waiting")) is not None
    ]
