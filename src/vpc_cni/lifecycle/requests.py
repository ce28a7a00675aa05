"""What is asked of EKS, with nothing left to its defaults. Pure.

UpdateAddon drops the role when it is left out, keeps configuration values, and takes an absent ``resolveConflicts`` for
NONE. So every request here says all of it: who changes one thing must not change another by silence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vpc_cni.cluster.applying import Mode
from vpc_cni.lifecycle.records import ADDON, Association, ManagedAddon


@dataclass(frozen=True, slots=True)
class Change:
    """What an add-on shall be.

    Attributes:
        role_arn: empty for the node's role.
        configuration_values: text in JSON or YAML; None where none were ever given, ``{}`` for the defaults.
        associations: None leaves pod identity associations alone.
    """

    version: str
    mode: Mode
    role_arn: str = ""
    configuration_values: str | None = None
    associations: tuple[Association, ...] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def to(self, version: str) -> "Change":
        """Return the same change with another version."""
        return replace(self, version=version)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator asked for; None: as it is now."""

    version: str | None = None
    role_arn: str | None = None
    configuration_values: str | None = None
    mode: Mode = Mode.NONE


def complete(wanted: Wanted, current: ManagedAddon) -> Change:
    """Return the whole update: what was not asked for stays as it is."""
    return Change(
        version=current.version if wanted.version is None else wanted.version,
        mode=wanted.mode,
        role_arn=current.role_arn if wanted.role_arn is None else wanted.role_arn,
        configuration_values=(
            current.configuration_values if wanted.configuration_values is None else wanted.configuration_values
        ),
    )


def plan_rollback(before: ManagedAddon, associations: tuple[Association, ...] | None, current: ManagedAddon) -> Change:
    """Return the update that brings an earlier state back, whatever was added, changed or taken away since.

    Args:
        associations: those of the earlier state; None where they are not known, so that they stay as they are.
    """
    values = before.configuration_values
    return Change(
        version=before.version,
        mode=Mode.OVERWRITE,
        role_arn=before.role_arn,
        # None would leave those of now in force.
        configuration_values="{}" if values is None and current.configuration_values is not None else values,
        # As would None here. Where there are none and were none, versions that know none are not told of them.
        associations=associations if associations or current.association_arns else None,
    )


def create_members(cluster: str, change: Change, token: str) -> dict[str, Any]:
    """Return the members of CreateAddon."""
    return {**_members(cluster, change, token), **({"tags": dict(change.tags)} if change.tags else {})}


def update_members(cluster: str, change: Change, token: str) -> dict[str, Any]:
    """Return the members of UpdateAddon."""
    return _members(cluster, change, token)


def _members(cluster: str, change: Change, token: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "clusterName": cluster,
        "addonName": ADDON,
        "addonVersion": change.version,
        "resolveConflicts": str(change.mode),
        "clientRequestToken": token,
    }
    if change.role_arn:
        found["serviceAccountRoleArn"] = change.role_arn
    if change.configuration_values is not None:
        found["configurationValues"] = change.configuration_values
    if change.associations is not None:
        found["podIdentityAssociations"] = [
            {"serviceAccount": each.service_account, "roleArn": each.role_arn} for each in change.associations
        ]
    return found
