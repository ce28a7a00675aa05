"""From options to a plan: which version, whose images, which settings."""

from dataclasses import dataclass
from pathlib import Path

from vpc_cni.cli._self_managed_options import pairs, read_catalogue, read_values
from vpc_cni.cli._self_managed_session import Session
from vpc_cni.cluster import Inventory
from vpc_cni.errors import KubernetesUnreachableError
from vpc_cni.manifests import ImageSet, parse_addon_version, parse_registry
from vpc_cni.self_managed import UpdatePlan, Wish, find_target, plan_update


@dataclass(frozen=True, slots=True)
class WishOptions:
    """Options as given; see their help."""

    version: str
    image_set: ImageSet | None
    registry: str
    values: str
    env: list[str] | None
    role_arn: str
    digest: list[str] | None
    catalogue: Path | None


def plan_for(session: Session, live: Inventory, options: WishOptions) -> UpdatePlan:
    """Plan an update of an installation to what the options say.

    Raises:
        RefusedError: the version does not run on this cluster.
        KubernetesUnreachableError: the cluster's version could not be read.
        CallerError, ConfigurationError: the options ask for something that cannot be.
    """
    catalogue = read_catalogue(options.catalogue)
    if not session.version:
        raise KubernetesUnreachableError("the version of the cluster could not be read", status=0)
    version = parse_addon_version(options.version) if options.version else None
    profile, notes = find_target(catalogue, version, session.kubernetes, live)
    wish = Wish(
        profile=profile,
        image_set=options.image_set,
        registry=parse_registry(options.registry) if options.registry else None,
        digests=pairs(options.digest, "--digest"),
        configuration=read_values(options.values, profile),
        env=pairs(options.env, "--env"),
        role_arn=options.role_arn,
        notes=notes,
    )
    return plan_update(live, wish, catalogue)
