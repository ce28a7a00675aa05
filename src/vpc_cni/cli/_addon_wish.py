"""From options to what EKS is asked for: version, role, values, and the way there."""

from collections.abc import Sequence
from dataclasses import dataclass

from vpc_cni.cli._self_managed_options import read_text
from vpc_cni.cluster.applying import Mode
from vpc_cni.errors import CallerError
from vpc_cni.lifecycle.records import EksCluster, ManagedAddon, OfferedVersion
from vpc_cni.lifecycle.requests import Change, Wanted, complete
from vpc_cni.lifecycle.steps import plan_steps
from vpc_cni.lifecycle.versions import choose_version
from vpc_cni.manifests import Catalogue, parse_addon_version


@dataclass(frozen=True, slots=True)
class WishOptions:
    """Options as given; see their help."""

    version: str = ""
    role_arn: str = ""
    no_role: bool = False
    values: str = ""
    reset_values: bool = False
    direct: bool = False
    mode: Mode = Mode.NONE


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. ``steps`` are the versions to go through; ``change`` has the last of them."""

    change: Change
    steps: tuple[str, ...]


def read_wish(
    options: WishOptions,
    current: ManagedAddon | None,
    offers: Sequence[OfferedVersion],
    cluster: EksCluster,
    catalogue: Catalogue,
) -> Wish:
    """Complete the options with what EKS has; with its default version where it has none.

    Raises:
        CallerError: options exclude each other, or the version is not offered.
        RefusedError: the version cannot be reached from the current one.
    """
    if (options.no_role and options.role_arn) or (options.reset_values and options.values):
        raise CallerError("--no-role and --role-arn, or --reset-values and --values, exclude each other")
    if current is None:
        return _creation(options, choose_version(options.version or "default", offers, cluster.version))
    steps = _steps(options, current, offers, cluster, catalogue)
    wanted = Wanted(
        version=steps[-1],
        role_arn="" if options.no_role else options.role_arn or None,
        configuration_values=_values(options),
        mode=options.mode,
    )
    return Wish(complete(wanted, current), steps)


def _creation(options: WishOptions, version: str) -> Wish:
    change = Change(version, options.mode, role_arn=options.role_arn, configuration_values=_values(options))
    return Wish(change, (version,))


def _values(options: WishOptions) -> str | None:
    if options.reset_values:
        return "{}"
    return read_text(options.values) if options.values else None


def _steps(
    options: WishOptions,
    current: ManagedAddon,
    offers: Sequence[OfferedVersion],
    cluster: EksCluster,
    catalogue: Catalogue,
) -> tuple[str, ...]:
    if not options.version:
        return (current.version,)
    target = choose_version(options.version, offers, cluster.version)
    if options.direct or target == current.version:
        return (target,)
    versions = plan_steps(
        parse_addon_version(current.version),
        parse_addon_version(target),
        (each.version for each in offers),
        catalogue,
        cluster.kubernetes,
    )
    return tuple(map(str, versions))
