"""``vpc-cni addon plan``: what a change would do to each field, before anyone is asked to do it."""

from dataclasses import asdict
from typing import Annotated

import typer

from vpc_cni.cli._addon_options import (
    EndpointUrlOption,
    NameOption,
    NewRoleOption,
    NewValuesOption,
    ProfileOption,
    RegionOption,
    TargetOption,
)
from vpc_cni.cli._addon_plan_view import plan_people
from vpc_cni.cli._addon_session import Access, Session, look, open_session
from vpc_cni.cli._addon_view import show
from vpc_cni.cli._addon_wish import WishOptions, read_wish
from vpc_cni.cli._self_managed_options import (
    CatalogueOption,
    ContextOption,
    JsonOption,
    KubeconfigOption,
    LiveImageSetOption,
    LiveRegistryOption,
    read_catalogue,
)
from vpc_cni.cluster import Inventory
from vpc_cni.cluster.installed import plain_form
from vpc_cni.cluster.trial import plan_apply, try_objects
from vpc_cni.errors import DeviationError
from vpc_cni.lifecycle.planning import Forecast, forecast
from vpc_cni.lifecycle.target import choose_images, cluster_env, render_change, render_plain
from vpc_cni.manifests import Catalogue, ImageSet, parse_registry
from vpc_cni.self_managed.flow import read_installation


def show_plan(
    *,
    cluster_name: NameOption = "",
    version: TargetOption = "",
    role_arn: NewRoleOption = "",
    no_role: Annotated[bool, typer.Option("--no-role", help="As with `update`.")] = False,
    values: NewValuesOption = "",
    reset_values: Annotated[bool, typer.Option("--reset-values", help="As with `update`.")] = False,
    direct: Annotated[bool, typer.Option("--direct", help="As with `update`.")] = False,
    image_set: LiveImageSetOption = None,
    registry: LiveRegistryOption = "",
    catalogue: CatalogueOption = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="Fields of others that the add-on does not name, too.")
    ] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with status 8 when something changes.")] = False,
    region: RegionOption = "",
    profile: ProfileOption = "",
    endpoint_url: EndpointUrlOption = "",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show field by field owner, live value, target value, and what becomes of it under each --resolve-conflicts.

    The API server is asked for a dry run; nothing is changed. Options that are not given: as EKS has it.
    """
    options = WishOptions(version, role_arn, no_role, values, reset_values, direct)
    with open_session(Access(cluster_name, region, profile, endpoint_url, kubeconfig, context)) as session:
        found = _forecast(session, options, read_catalogue(catalogue), image_set, registry)
    show(asdict(found), plan_people(found, show_all=show_all), as_json=as_json)
    if exit_code and found.changes:
        raise DeviationError("the cluster differs from the target")


def _forecast(
    session: Session, options: WishOptions, catalogue: Catalogue, image_set: ImageSet | None, registry: str
) -> Forecast:
    operator, cluster = session.require_cluster(), session.eks.cluster()
    addon = look(session).addon
    wish = read_wish(options, addon, session.eks.offers(cluster.version), cluster, catalogue)
    live = read_installation(operator)
    is_eks = not session.access.eks_endpoint_url
    images = choose_images(
        cluster.region or session.eks.region,
        is_eks=is_eks,
        live=live,
        image_set=image_set,
        registry=parse_registry(registry) if registry else None,
    )
    target = render_change(
        wish.change,
        catalogue,
        images,
        cluster.ip_family,
        schema=session.eks.find_schema(wish.change.version) if wish.change.configuration_values else None,
        kept_env=cluster_env(live, catalogue) if is_eks else None,
    )
    base = render_plain(addon.version, catalogue, images, cluster.ip_family) if addon else Inventory()
    with session.as_eks() as api:
        trials = try_objects(api, target.objects, plain_form(live, catalogue, target.profile)[0])
        plan = plan_apply(api, trials, removing=addon is not None)
    return forecast(plan, trials, base, wish.steps, creating=addon is None, estimate=target.estimate)
