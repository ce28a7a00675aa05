"""What the store answers instead of doing what was asked. Each carries the names that a message of the API needs."""

from vpc_cni.addons.model import AddonStatus
from vpc_cni.errors import RefusedError


class StoreRefusal(RefusedError):
    """Root of these: nothing was written."""


class NoClusterError(StoreRefusal):
    def __init__(self, cluster: str) -> None:
        super().__init__(f"there is no cluster {cluster}")
        self.cluster = cluster


class NoAddonError(StoreRefusal):
    def __init__(self, cluster: str, addon: str) -> None:
        super().__init__(f"cluster {cluster} has no add-on {addon}")
        self.cluster = cluster
        self.addon = addon


class NoUpdateError(StoreRefusal):
    def __init__(self, cluster: str, update: str) -> None:
        super().__init__(f"cluster {cluster} has no update {update}")
        self.cluster = cluster
        self.update = update


class NoAssociationError(StoreRefusal):
    def __init__(self, cluster: str, association: str) -> None:
        super().__init__(f"cluster {cluster} has no pod identity association {association}")
        self.cluster = cluster
        self.association = association


class NoProfileError(StoreRefusal):
    def __init__(self, cluster: str, profile: str) -> None:
        super().__init__(f"cluster {cluster} has no Fargate profile {profile}")
        self.cluster = cluster
        self.profile = profile


class NoResourceError(StoreRefusal):
    """Nothing is named so by an ARN; ``resource`` is its last part."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"there is no {resource}")
        self.resource = resource


class ClusterExistsError(StoreRefusal):
    def __init__(self, cluster: str) -> None:
        super().__init__(f"there is a cluster {cluster} already")
        self.cluster = cluster


class ClusterInUseError(StoreRefusal):
    """It still has add-ons or Fargate profiles, whose names are in ``by``."""

    def __init__(self, cluster: str, by: tuple[str, ...]) -> None:
        super().__init__(f"cluster {cluster} still has {', '.join(by)}", hint="delete these first")
        self.cluster = cluster
        self.by = by


class AddonExistsError(StoreRefusal):
    def __init__(self, cluster: str, addon: str) -> None:
        super().__init__(f"cluster {cluster} has add-on {addon} already")
        self.cluster = cluster
        self.addon = addon


class AddonBusyError(StoreRefusal):
    """Its status allows no such change now."""

    def __init__(self, cluster: str, addon: str, status: AddonStatus) -> None:
        super().__init__(f"add-on {addon} of cluster {cluster} is {status}")
        self.cluster = cluster
        self.addon = addon
        self.status = status


class AssociationExistsError(StoreRefusal):
    """The service account has an association already: ``association`` is its id."""

    def __init__(self, cluster: str, service_account: str, association: str) -> None:
        super().__init__(f"service account {service_account} of cluster {cluster} has association {association}")
        self.cluster = cluster
        self.service_account = service_account
        self.association = association


class ProfileExistsError(StoreRefusal):
    def __init__(self, cluster: str, profile: str) -> None:
        super().__init__(f"cluster {cluster} has a Fargate profile {profile} already")
        self.cluster = cluster
        self.profile = profile


class TokenReusedError(StoreRefusal):
    """The same client token came with other parameters."""

    def __init__(self, operation: str, token: str) -> None:
        super().__init__(f"token {token} of {operation} was used with other parameters")
        self.operation = operation
        self.token = token


class LeaseLostError(StoreRefusal):
    """Someone else works on this operation now, or it is gone: whoever gets this must stop at once."""

    def __init__(self, operation: str) -> None:
        super().__init__(f"operation {operation} is no longer ours")
        self.operation = operation
