"""What a change makes of the add-on, as Kubernetes objects: rendered as EKS does, from what EKS was asked for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from vpc_cni.cluster import Inventory
from vpc_cni.cluster.installed import find_image_set, find_installed
from vpc_cni.cluster.inventory import AGENT, find_container
from vpc_cni.errors import CallerError
from vpc_cni.lifecycle.estimates import Estimate, estimate_of
from vpc_cni.lifecycle.requests import Change
from vpc_cni.manifests import (
    Catalogue,
    Configuration,
    Images,
    ImageSet,
    IpFamily,
    Manifest,
    Profile,
    Registry,
    RenderOptions,
    Schema,
    find_region,
    parse_addon_version,
    parse_configuration_text,
    plan_images,
    read_configuration,
    render,
)
from vpc_cni.self_managed.carrying import env_values

_AGENT_REPOSITORY = "amazon-k8s-cni"


@dataclass(frozen=True, slots=True)
class Target:
    """Objects of an add-on in the order to apply them, and of which profile; ``estimate`` says that it is another's."""

    profile: Profile
    objects: tuple[Manifest, ...]
    estimate: Estimate | None = None


def render_change(
    change: Change,
    catalogue: Catalogue,
    images: "ImageChoice",
    ip_family: str,
    *,
    schema: Schema | None = None,
    kept_env: Mapping[str, str] | None = None,
) -> Target:
    """Return what a change makes of the add-on; an estimate where the catalogue does not have the version.

    Args:
        schema: of configuration values, as EKS says it; None for that of the catalogue.
        kept_env: variables of the agent that the service sets itself (:func:`cluster_env`); values win over them.

    Raises:
        CallerError: the catalogue has neither the version nor an older one.
        ConfigurationError: values do not fit the version, or ask for what the image set cannot do.
    """
    found = catalogue.approximate(parse_addon_version(change.version))
    values = parse_configuration_text(change.configuration_values or "")
    configuration = read_configuration(values, found.profile, schema)
    env = {name: value for name, value in (kept_env or {}).items() if name not in configuration.env}
    options = RenderOptions(
        images=images.of(found.profile),
        configuration=configuration,
        env=env,
        role_arn=change.role_arn,
        ip_family=IpFamily(ip_family),
    )
    return Target(found.profile, render(found.profile, options).objects, estimate_of(found, catalogue, values))


def cluster_env(live: Inventory, catalogue: Catalogue) -> dict[str, str]:
    """Return variables of the live agent that EKS sets itself, out of the cluster: they stay as they are."""
    names = catalogue.addon.cluster_env if catalogue.addon else ()
    values = env_values(find_container(live.daemon_set or {}, AGENT) or {})
    return {name: values[name] for name in names if name in values}


def render_plain(version: str, catalogue: Catalogue, images: "ImageChoice", ip_family: str) -> Inventory:
    """Return the objects of a version without any settings; empty when the catalogue has no profile of it."""
    try:
        profile = catalogue.find(parse_addon_version(version))
    except CallerError:
        return Inventory()
    return Inventory(render(profile, RenderOptions(images.of(profile), ip_family=IpFamily(ip_family))).objects)


def read_values(text: str | None, profile: Profile, schema: Schema | None = None) -> Configuration:
    return read_configuration(parse_configuration_text(text or ""), profile, schema)


class ImageChoice:
    """Which images a service deploys: what is compared with those that are live."""

    def __init__(self, image_set: ImageSet, registry: Registry) -> None:
        self.image_set, self.registry = image_set, registry

    def of(self, profile: Profile) -> Images:
        return plan_images(profile, self.image_set, self.registry)


def choose_images(
    region: str, *, is_eks: bool, live: Inventory, image_set: ImageSet | None, registry: Registry | None
) -> ImageChoice:
    """Return the images that the service is to deploy.

    EKS deploys the reference's from the region's own registry. A service of one's own does not tell: what is live is
    taken for it, unless the operator knows better.

    Raises:
        CallerError: it cannot be told.
    """
    if is_eks:
        known = registry or find_region(region).registry
        if known is None:
            raise CallerError(f"the registry of EKS in {region} is not known", hint="give --registry")
        return ImageChoice(image_set or ImageSet.AWS, known)
    found = registry or _live_registry(live)
    if found is None:
        raise CallerError(
            "which images the service deploys is not known", hint="give --registry and --image-set as the service has"
        )
    return ImageChoice(image_set or (find_image_set(live) if live.daemon_set else ImageSet.OWN), found)


def _live_registry(live: Inventory) -> Registry | None:
    image = find_installed(live.daemon_set or {}).image
    if image is None or not image.registry or not image.repository.endswith(_AGENT_REPOSITORY):
        return None
    return Registry(image.registry, image.repository.removesuffix(_AGENT_REPOSITORY).rstrip("/"))
