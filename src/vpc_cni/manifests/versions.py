"""Versions of the add-on and of Kubernetes: parsed, ordered, printed. Pure.

``v1.16.2-eksbuild.1`` is a managed build, ``v1.16.2`` the upstream release that self-managed clusters run. They are
ordered by number, a release before its builds. As text or as semantic versions the order would be wrong: there
``-eksbuild.1`` is a pre-release and ranks below ``v1.16.2``.
"""

import re
from dataclasses import dataclass, replace

from vpc_cni.errors import CallerError

_ADDON = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-eksbuild\.(\d+))?", re.ASCII)
# Live clusters report more than major and minor: v1.29.3-eks-036c24b.
_KUBERNETES = re.compile(r"v?(\d+)\.(\d+)(?:\.\d+)?(?:[-+].*)?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class AddonVersion:
    """A version of the add-on; ``build`` 0 is the upstream release without a managed build."""

    major: int
    minor: int
    patch: int
    build: int = 0

    @property
    def release(self) -> "AddonVersion":
        """The same version without its build number."""
        return replace(self, build=0)

    def __str__(self) -> str:
        release = f"v{self.major}.{self.minor}.{self.patch}"
        return f"{release}-eksbuild.{self.build}" if self.build else release


@dataclass(frozen=True, slots=True, order=True)
class KubernetesVersion:
    """The minor version of a cluster; patches do not matter here."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


def parse_addon_version(text: str) -> AddonVersion:
    """Read ``v1.16.2-eksbuild.1``, ``v1.16.2`` or ``1.16.2``.

    Raises:
        CallerError: it is none of these.
    """
    found = _ADDON.fullmatch(text)
    if not found or found[4] == "0":
        raise CallerError(f"{text!r} is no version of the add-on", hint="write v1.16.2 or v1.16.2-eksbuild.1")
    return AddonVersion(*(int(number or 0) for number in found.groups()))


def parse_kubernetes_version(text: str) -> KubernetesVersion:
    """Read ``1.29``, or what a live cluster says: ``v1.29.3-eks-036c24b``.

    Raises:
        CallerError: it is neither.
    """
    found = _KUBERNETES.fullmatch(text)
    if not found:
        raise CallerError(f"{text!r} is no version of Kubernetes", hint="write major and minor, such as 1.29")
    return KubernetesVersion(int(found[1]), int(found[2]))
