"""What a change makes of the add-on, as Kubernetes objects: rendered as EKS does, from what EKS was asked for. Pure."""

from vpc_cni.cluster import Inventory
from vpc_cni.cluster.installed import find_image_set, find_installed
from vpc_cni.errors import CallerError
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
    find_region,
    parse_addon_version,
    parse_configuration_text,
    plan_images,
    read_configuration,
    render,
)

_AGENT_REPOSITORY = "amazon-k8s-cni"


def render_change(change: Change, catalogue: Catalogue, images: "ImageChoice", ip_family: str) -> tuple[Manifest, ...]:
    """Return the objects of an add-on, in the order to apply them.

    Raises:
        CallerError: the catalogue has no profile of the version.
        ConfigurationError: values do not fit the version, or ask for what the image set cannot do.
    """
    profile = catalogue.find(parse_addon_version(change.version))
    configuration = read_values(change.configuration_values, profile)
    return _render(profile, images, configuration, change.role_arn, ip_family)


def render_plain(version: str, catalogue: Catalogue, images: "ImageChoice", ip_family: str) -> Inventory:
    """Return the objects of a version without any settings; empty when the catalogue has no profile of it."""
    try:
        profile = catalogue.find(parse_addon_version(version))
    except CallerError:
        return Inventory()
    return Inventory(_render(profile, images, Configuration(), "", ip_family))


def read_values(text: str | None, profile: Profile) -> Configuration:
    return read_configuration(parse_configuration_text(text or ""), profile)


def _render(
    profile: Profile, images: "ImageChoice", configuration: Configuration, role_arn: str, ip_family: str
) -> tuple[Manifest, ...]:
    options = RenderOptions(
        images=images.of(profile), configuration=configuration, role_arn=role_arn, ip_family=IpFamily(ip_family)
    )
    return render(profile, options).objects


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
