"""Records: one folder for each cluster, the newest last, and all that a rollback needs in them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.cluster import Inventory
from vpc_cni.errors import CallerError, RefusedError
from vpc_cni.lifecycle.journal import (
    Record,
    eks_answer,
    find_newest,
    identify,
    parse_record,
    read_records,
    records_folder,
)
from vpc_cni.lifecycle.records import Association, parse_addon, parse_cluster
from vpc_cni.self_managed import Backup, write_backup

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
ROLE = "arn:aws:iam::111122223333:role/cni"
CLUSTER = parse_cluster({"name": "prod", "arn": "arn:aws:eks:us-west-2:111122223333:cluster/prod"})
ADDON = parse_addon(
    {
        "addonVersion": "v1.15.1-eksbuild.1",
        "status": "ACTIVE",
        "serviceAccountRoleArn": ROLE,
        "createdAt": NOON,
        "clusterName": "prod",
        "addonArn": "arn:aws:eks:us-west-2:111122223333:addon/prod/vpc-cni/a-b-c",
    }
)
OTHERS = {
    "name": {"name": "test", "arn": CLUSTER.arn.replace("/prod", "/test")},
    "region": {"arn": CLUSTER.arn.replace("us-west-2", "eu-west-1")},
    "account": {"arn": CLUSTER.arn.replace("1111", "9999")},
}


def save(folder: Path, hours: int, *, managed: bool = True) -> Record:
    answer = eks_answer(ADDON if managed else None, [Association("aws-node", ROLE, "a-1")])
    backup = Backup(NOON + timedelta(hours=hours), "1.29", "managed", Inventory(), answer)
    return Record(write_backup(folder, backup), backup)


def test_each_cluster_has_a_folder_of_its_own(tmp_path: Path) -> None:
    below = Path("vpc-cni/records/111122223333/us-west-2/prod")
    assert records_folder({}, tmp_path, CLUSTER) == tmp_path / ".local/state" / below
    assert records_folder({"XDG_STATE_HOME": "/state"}, tmp_path, CLUSTER) == Path("/state") / below
    assert records_folder({"XDG_STATE_HOME": "not/absolute"}, tmp_path, CLUSTER) == tmp_path / ".local/state" / below
    assert records_folder({}, tmp_path, CLUSTER, "here") == Path("here")


def test_the_newest_is_the_last_and_strange_files_do_not_matter(tmp_path: Path) -> None:
    for hours in (2, 0, 1):
        save(tmp_path, hours)
    (tmp_path / "vpc-cni-backup-x.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("x")
    found = read_records(tmp_path)
    assert [each.backup.taken_at.hour for each in found] == [12, 13, 14]
    assert read_records(tmp_path / "missing") == ()


def test_a_record_has_version_role_and_associations(tmp_path: Path) -> None:
    save(tmp_path, 0)
    (record,) = read_records(tmp_path)
    assert record.addon is not None
    assert (record.addon.version, record.addon.role_arn) == ("v1.15.1-eksbuild.1", ROLE)
    assert record.associations == (Association("aws-node", ROLE),)
    assert record.file.stat().st_mode & 0o777 == 0o600


def test_a_record_from_before_the_addon_says_so(tmp_path: Path) -> None:
    save(tmp_path, 0, managed=False)
    (record,) = read_records(tmp_path)
    assert (record.addon, record.associations) == (None, ())


@pytest.mark.parametrize("changed", OTHERS.values(), ids=OTHERS)
def test_records_of_other_clusters_are_passed_over(tmp_path: Path, changed: dict[str, Any]) -> None:
    other = replace(CLUSTER, **changed)
    assert save(tmp_path, 0).cluster == identify(CLUSTER)
    assert find_newest(tmp_path, CLUSTER)
    with pytest.raises(CallerError, match="no record of cluster"):
        find_newest(tmp_path, other)


def test_a_record_without_an_addon_may_be_of_any_cluster(tmp_path: Path) -> None:
    assert save(tmp_path, 0, managed=False).cluster == ""
    assert find_newest(tmp_path, CLUSTER).addon is None


def test_the_newest_record_must_be_readable(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match="no record of cluster prod"):
        find_newest(tmp_path / "missing", CLUSTER)
    older, newer = save(tmp_path, 0), save(tmp_path, 1)
    assert find_newest(tmp_path, CLUSTER).file == newer.file
    older.file.write_text("half of it {")
    assert find_newest(tmp_path, CLUSTER).file == newer.file, "an older one does not matter"
    newer.file.write_text("half of it {")
    save(tmp_path, -1)
    with pytest.raises(RefusedError, match="cannot be read") as refused:
        find_newest(tmp_path, CLUSTER)
    assert str(newer.file) in refused.value.message


def test_two_records_of_one_second_are_told_apart_by_their_times(tmp_path: Path) -> None:
    save(tmp_path, 0)
    answer = eks_answer(replace(ADDON, raw={**ADDON.raw, "addonVersion": "v1.16.2-eksbuild.1"}), ())
    later = write_backup(tmp_path, Backup(NOON + timedelta(milliseconds=5), "1.29", "managed", Inventory(), answer))
    assert find_newest(tmp_path, CLUSTER).file == later


@pytest.mark.parametrize(
    "members",
    [
        {"eks_addon": ["x"]},
        {"eks_addon": {"podIdentityAssociationDetails": [{"serviceAccount": "aws-node"}]}},
        {"eks_addon": {"podIdentityAssociationDetails": 3}},
        {"eks_addon": {"health": "x"}},
        {"taken_at": "2024-03-01T12:00:00"},
        {"taken_at": 5},
        {"format": 2},
        {"objects": [{"kind": "DaemonSet"}]},
    ],
)
def test_what_is_no_record_is_an_error_that_names_the_file(tmp_path: Path, members: dict[str, Any]) -> None:
    file = save(tmp_path, 0).file
    text = json.dumps(json.loads(file.read_text()) | members)
    with pytest.raises(CallerError, match="vpc-cni-backup"):
        parse_record(text, file)
    file.write_text(text)
    assert read_records(tmp_path) == ()


def test_associations_whose_roles_are_not_told_are_not_taken_for_none(tmp_path: Path) -> None:
    arns = ["arn:aws:eks:us-west-2:111122223333:podidentityassociation/prod/a-1"]
    backup = Backup(NOON, "1.29", "managed", Inventory(), {**ADDON.raw, "podIdentityAssociations": arns})
    assert Record(tmp_path, backup).associations is None
    assert Record(tmp_path, replace(backup, eks_addon=ADDON.raw)).associations == ()
