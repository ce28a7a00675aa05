"""What an add-on should be, as Kubernetes objects. Pure."""

from collections.abc import Callable

from vpc_cni.addons.model import Desired
from vpc_cni.manifests import (
    Catalogue,
    Configuration,
    Images,
    IpFamily,
    Manifest,
    Profile,
    RenderOptions,
    parse_addon_version,
    parse_configuration_text,
    read_configuration,
    render,
)


def render_desired(desired: Desired, catalogue: Catalogue, images: Callable[[Profile], Images]) -> tuple[Manifest, ...]:
    """Return the objects of an add-on, in the order to apply them.

    Raises:
        ConfigurationError, CallerError: nothing that was accepted can be so, unless the catalogue was replaced since.
    """
    profile = catalogue.find(parse_addon_version(desired.version))
    return render(
        profile,
        RenderOptions(
            images=images(profile),
            configuration=_configuration(desired.configuration_values, profile),
            role_arn=desired.role_arn or "",
            ip_family=IpFamily(desired.ip_family),
        ),
    ).objects


def _configuration(text: str | None, profile: Profile) -> Configuration:
    return read_configuration(parse_configuration_text(text or ""), profile)
