"""Names of container images: parsed, printed, and the set of images of a version. Pure.

A reference is ``registry[:port]/repository[:tag][@digest]``. Splitting it at colons, as scripts do, takes the port
of a registry for a tag and a digest for a version.
"""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from vpc_cni.errors import CallerError
from vpc_cni.manifests.profile import Profile
from vpc_cni.manifests.registries import Registry, is_registry_host

AGENT_REPOSITORY = "amazon-k8s-cni"
INIT_REPOSITORY = "amazon-k8s-cni-init"
POLICY_AGENT_REPOSITORY = "amazon/aws-network-policy-agent"
METRICS_HELPER_REPOSITORY = "cni-metrics-helper"

_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME = re.compile(
    rf"(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[0-9a-f]{32,}))?",
    re.ASCII,
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class ImageSet(enum.StrEnum):
    """Whose images an installation runs."""

    OWN = "own"
    """This project's agent, under the names that tools in the field look for."""
    AWS = "aws"
    """The reference's images, from the registry of the region or a mirror of it."""


@dataclass(frozen=True, slots=True)
class ImageReference:
    """Where an image is pulled from. ``registry`` is ``host`` or ``host:port``; what is absent is an empty text."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        name = f"{self.registry}/{self.repository}" if self.registry else self.repository
        return name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse_image_reference(text: str) -> ImageReference:
    """Read a reference as container runtimes do: a first part with a dot, a colon, or ``localhost`` is a registry.

    Raises:
        CallerError: the text is no reference.
    """
    first, slash, rest = text.partition("/")
    registry, name = (first, rest) if slash and is_registry_host(first) else ("", text)
    found = _NAME.fullmatch(name)
    if not found:
        raise CallerError(f"{text!r} is no image", hint="write registry[:port]/repository[:tag][@sha256:...]")
    return ImageReference(registry, found["repository"], found["tag"] or "", found["digest"] or "")


@dataclass(frozen=True, slots=True)
class Images:
    """The images of one installation; ``policy_agent`` is None where there is no third container."""

    image_set: ImageSet
    init: ImageReference
    agent: ImageReference
    policy_agent: ImageReference | None = None

    @property
    def all(self) -> tuple[ImageReference, ...]:
        """In the order in which the DaemonSet names them."""
        third = () if self.policy_agent is None else (self.policy_agent,)
        return (self.init, self.agent, *third)


def plan_images(
    profile: Profile, image_set: ImageSet, registry: Registry, digests: Mapping[str, str] | None = None
) -> Images:
    """Return the images that a version runs. Pure.

    Args:
        digests: by repository without the registry's path (``amazon-k8s-cni``); such an image is pinned by it and
            keeps its tag, which is what version checks read.

    Raises:
        CallerError: a digest is none, or for an image that is not part of the set.
    """
    pinned = dict(digests or {})

    def image(repository: str, tag: str) -> ImageReference:
        digest = pinned.pop(repository, "")
        if digest and not _DIGEST.fullmatch(digest):
            raise CallerError(f"{digest!r} is no digest of {repository}", hint="write sha256: and 64 hex digits")
        return ImageReference(registry.host, registry.path_prefix + repository, tag, digest)

    tag = str(profile.version)
    # The upstream tag of the policy agent exists in the official registries beside those of managed builds.
    third = profile.network_policy_agent if image_set is ImageSet.AWS else ""
    images = Images(
        image_set=image_set,
        init=image(INIT_REPOSITORY, tag),
        agent=image(AGENT_REPOSITORY, tag),
        policy_agent=image(POLICY_AGENT_REPOSITORY, third) if third else None,
    )
    if pinned:
        names = ", ".join(sorted(pinned))
        raise CallerError(f"digest for an image that {image_set} {profile.version} does not have: {names}")
    return images


def metrics_helper_image(profile: Profile, registry: Registry) -> ImageReference:
    """Return the reference's optional metrics helper, which is not part of the managed add-on."""
    return ImageReference(registry.host, registry.path_prefix + METRICS_HELPER_REPOSITORY, str(profile.version.release))
