"""Records: one folder for each cluster, the newest last, and all that a rollback needs in them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from vpc_cni.cluster import Inventory
from vpc_cni.lifecycle.journal import Record, eks_answer, read_records, records_folder
from vpc_cni.lifecycle.records import Association, parse_addon, parse_cluster
from vpc_cni.self_managed import Backup, write_backup

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
ROLE = "arn:aws:iam::111122223333:role/cni"
CLUSTER = parse_cluster({"name": "prod", "arn": "arn:aws:eks:us-west-2:111122223333:cluster/prod"})
ADDON = parse_addon(
    {"addonVersion": "v1.15.1-eksbuild.1", "status": "ACTIVE", "serviceAccountRoleArn": ROLE, "createdAt": NOON}
)


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
