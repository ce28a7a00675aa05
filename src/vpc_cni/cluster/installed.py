"""Which version and whose images a live DaemonSet runs, and what that version makes without settings. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from vpc_cni.cluster.inventory import AGENT, Inventory, containers, find_container, find_named, pod_spec
from vpc_cni.errors import CallerError
from vpc_cni.manifests import (
    AddonVersion,
    Catalogue,
    ImageReference,
    ImageSet,
    Manifest,
    Profile,
    Registry,
    RenderOptions,
    parse_addon_version,
    parse_image_reference,
    plan_images,
    render,
)

_REFERENCE_ONLY_VOLUME = "xtables-lock"


@dataclass(frozen=True, slots=True)
class Installed:
    """What a DaemonSet runs. ``version`` is None when the tag is none, as with images pinned by digest alone.

    ``images`` are those of all containers as text, init containers first.
    """

    image: ImageReference | None
    version: AddonVersion | None
    images: Mapping[str, str]


def find_installed(daemon_set: Manifest) -> Installed:
    """Return what runs, by the image of the container ``aws-node``, whatever registry or port is in it."""
    images = {str(each.get("name", "")): str(each.get("image", "")) for each in containers(daemon_set)}
    agent = find_container(daemon_set, AGENT)
    try:
        image = parse_image_reference(str((agent or {}).get("image", "")))
    except CallerError:
        return Installed(None, None, images)
    try:
        return Installed(image, parse_addon_version(image.tag), images)
    except CallerError:
        return Installed(image, None, images)


def find_image_set(live: Inventory) -> ImageSet:
    """Tell whose images an installation runs: only the reference needs the lock of iptables."""
    volumes = pod_spec(live.daemon_set or {}).get("volumes") or ()
    return ImageSet.AWS if find_named(volumes, _REFERENCE_ONLY_VOLUME) else ImageSet.OWN


def plain_form(live: Inventory, catalogue: Catalogue, wanted: Profile) -> tuple[Inventory, tuple[str, ...]]:
    """Return an installation as its version would be without settings, and notes for people; empty without one.

    Of the nearest older version where the catalogue has not that one, of ``wanted`` where nobody can tell the version.
    Images are of no registry that exists.
    """
    if live.daemon_set is None:
        return Inventory(), ()
    profile, notes = _profile_of(find_installed(live.daemon_set), catalogue, wanted)
    images = plan_images(profile, find_image_set(live), Registry("base.invalid"))
    return Inventory(render(profile, RenderOptions(images)).objects), notes


def _profile_of(installed: Installed, catalogue: Catalogue, wanted: Profile) -> tuple[Profile, tuple[str, ...]]:
    if installed.version is None:
        return wanted, ("which version is live cannot be told from its image: all that differs counts as a setting",)
    try:
        return catalogue.find(installed.version), ()
    except CallerError:
        older = [each for each in catalogue.profiles if each.version.release <= installed.version.release]
        profile = older[-1] if older else catalogue.profiles[0]
        return profile, (
            f"{installed.version} is not in the catalogue: settings are what differs from {profile.version}",
        )
