"""Records to rows of the tables and back. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping as Row

from vpc_cni.addons.model import (
    AddonRecord,
    AddonStatus,
    Association,
    ClusterRecord,
    ConflictMode,
    FargateProfile,
    FargateSelector,
    Issue,
    IssueCode,
    Network,
    Operation,
    OperationKind,
    UpdateRecord,
    UpdateStatus,
)


def cluster_row(record: ClusterRecord) -> dict[str, Any]:
    network = {**asdict(record.network)}
    return {**_plain(record, without=("network", "tags")), "network": network, "tags": dict(record.tags)}


def read_cluster(row: Row) -> ClusterRecord:
    network = row["network"]
    lists = {name: tuple(network[name]) for name in ("subnet_ids", "security_group_ids")}
    return ClusterRecord(**{**_chosen(row, ClusterRecord), "network": Network(**{**network, **lists})})


def addon_row(record: AddonRecord) -> dict[str, Any]:
    row = _plain(record, without=("associations", "issues", "tags"))
    return {**row, "issues": issue_list(record.issues), "tags": dict(record.tags)}


def read_addon(row: Row, associations: Sequence[str] = ()) -> AddonRecord:
    values = {name: row[name] for name in AddonRecord.__slots__ if name != "associations"}
    values.update(status=AddonStatus(row["status"]), issues=read_issues(row["issues"]))
    return AddonRecord(**values, associations=tuple(associations))


def update_row(record: UpdateRecord) -> dict[str, Any]:
    row = _plain(record, without=("params", "errors"))
    return {**row, "params": [list(each) for each in record.params], "errors": issue_list(record.errors)}


def read_update(row: Row) -> UpdateRecord:
    values = _chosen(row, UpdateRecord)
    values.update(
        status=UpdateStatus(row["status"]),
        params=tuple((type_, value) for type_, value in row["params"]),
        errors=read_issues(row["errors"]),
    )
    return UpdateRecord(**values)


def association_row(record: Association) -> dict[str, Any]:
    row = _plain(record, without=("tags",))
    return {**row, "addon": addon_of_owner(record.owner), "tags": dict(record.tags)}


def read_association(row: Row) -> Association:
    return Association(**_chosen(row, Association))


def addon_of_owner(owner: str) -> str:
    """Return the add-on's name in its ARN, ``...:addon/CLUSTER/NAME/UID``; empty of an empty one."""
    return owner.split("/")[2] if owner else ""


def profile_row(record: FargateProfile) -> dict[str, Any]:
    row = _plain(record, without=("selectors", "subnets", "tags"))
    selectors = [{"namespace": each.namespace, "labels": dict(each.labels)} for each in record.selectors]
    return {**row, "subnets": list(record.subnets), "selectors": selectors, "tags": dict(record.tags)}


def read_profile(row: Row) -> FargateProfile:
    values = _chosen(row, FargateProfile)
    values.update(subnets=tuple(row["subnets"]), selectors=tuple(FargateSelector(**each) for each in row["selectors"]))
    return FargateProfile(**values)


def operation_row(operation: Operation) -> dict[str, Any]:
    """Return what the table keeps of an operation itself; who works on it, and when, comes beside."""
    return _plain(operation)


def read_operation(row: Row) -> Operation:
    values = _chosen(row, Operation)
    values.update(kind=OperationKind(row["kind"]), mode=ConflictMode(row["mode"]))
    return Operation(**values)


def issue_list(issues: Sequence[Issue]) -> list[dict[str, Any]]:
    return [
        {"code": each.code.value, "message": each.message, "resource_ids": list(each.resource_ids)} for each in issues
    ]


def read_issues(found: Sequence[Mapping[str, Any]]) -> tuple[Issue, ...]:
    return tuple(Issue(IssueCode(each["code"]), each["message"], tuple(each["resource_ids"])) for each in found)


def _plain(record: Any, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields of a record that are texts, numbers and booleans; enumerations as their text."""
    names = [name for name in record.__slots__ if name not in without]
    values = {name: getattr(record, name) for name in names}
    return {name: getattr(value, "value", value) for name, value in values.items()}


def _chosen(row: Row, record: Any) -> dict[str, Any]:
    return {name: row[name] for name in record.__slots__}
