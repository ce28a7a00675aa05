"""What the store refuses, in the words of the API. Pure."""

from vpc_cni.addons import errors
from vpc_cni.addons.errors import ApiError
from vpc_cni.addons.store import (
    AddonBusyError,
    AddonExistsError,
    AssociationExistsError,
    ClusterExistsError,
    ClusterInUseError,
    NoAddonError,
    NoAssociationError,
    NoClusterError,
    NoProfileError,
    NoUpdateError,
    ProfileExistsError,
    StoreRefusal,
    TokenReusedError,
)
from vpc_cni.errors import InternalError


def translate(refusal: StoreRefusal) -> ApiError:  # noqa: PLR0911 - a table
    """Return the exception of the API.

    Raises:
        InternalError: no request can lead to this.
    """
    match refusal:
        case NoClusterError():
            return errors.no_cluster(refusal.cluster)
        case NoAddonError():
            return errors.no_addon(refusal.addon, refusal.cluster)
        case NoUpdateError():
            return errors.no_update(refusal.update)
        case NoAssociationError():
            return errors.no_association(refusal.association)
        case NoProfileError():
            return errors.no_profile(refusal.profile)
        case AddonExistsError():
            return errors.addon_exists()
        case AddonBusyError():
            return errors.addon_not_updatable(refusal.addon, refusal.status)
        case AssociationExistsError():
            return errors.association_exists(refusal.association)
        case ClusterExistsError():
            return errors.cluster_exists(refusal.cluster)
        case ClusterInUseError():
            return errors.cluster_in_use(refusal.cluster, refusal.by)
        case ProfileExistsError():
            return errors.profile_exists()
        case TokenReusedError():
            return errors.token_reused()
    raise InternalError(f"the API cannot say: {refusal}") from refusal
