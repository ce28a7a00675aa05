"""Where the images of deployed versions come from: one choice for the whole service. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vpc_cni.errors import ConfigurationError
from vpc_cni.manifests import Images, ImageSet, Profile, Registry, find_region, plan_images


@dataclass(frozen=True, slots=True)
class ImageSource:
    """An image set, and the registry it is in.

    Attributes:
        registry: None takes the official one of a region, which only the reference's images are in.
        digests: pins of images, see :func:`~vpc_cni.manifests.images.plan_images`.
    """

    image_set: ImageSet
    registry: Registry | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    def plan(self, profile: Profile, region: str) -> Images:
        """Return the images of a version for clusters in a region.

        Raises:
            ConfigurationError: no registry was named, and the region's official one is not known.
            CallerError: this is no region, or a digest fits no image.
        """
        registry = self.registry or find_region(region).registry
        if registry is None or (self.registry is None and self.image_set is ImageSet.OWN):
            raise ConfigurationError(f"no registry is known for {self.image_set} images in {region}")
        return plan_images(profile, self.image_set, registry, self.digests)
