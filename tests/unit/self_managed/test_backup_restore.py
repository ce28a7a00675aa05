"""Backup files, and what a restore writes."""

import copy
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vpc_cni.cluster import Inventory
from vpc_cni.errors import CallerError, HostError, RefusedError
from vpc_cni.manifests import Manifest
from vpc_cni.self_managed import Backup, encode_backup, parse_backup, plan_restore, write_backup

NOON = datetime(2024, 3, 1, 12, 0, 0, tzinfo=UTC)
Install = Callable[..., Inventory]


def backup_of(inventory: Inventory) -> Backup:
    return Backup(NOON, "v1.29.3", "self-managed", inventory, {"addonVersion": "v1.16.2-eksbuild.1", "createdAt": NOON})


def as_live(inventory: Inventory) -> Inventory:
    """Return objects with what an API server adds."""
    copied = copy.deepcopy(inventory)
    for each in copied.objects:
        each["metadata"].update(resourceVersion="7", uid="u", managedFields=[{"manager": "kubectl"}])
    return copied


def test_what_is_written_is_read_again(install: Install, tmp_path: Path) -> None:
    backup = backup_of(as_live(install("v1.16.2")))
    file = write_backup(tmp_path / "new" / "folder", backup)
    assert file.name == "vpc-cni-backup-20240301T120000Z.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = parse_backup(file.read_text(), str(file))
    assert (found.inventory, found.taken_at, found.kubernetes_version) == (backup.inventory, NOON, "v1.29.3")
    assert found.eks_addon["addonVersion"] == "v1.16.2-eksbuild.1"


def test_backups_of_one_second_stand_beside_each_other(install: Install, tmp_path: Path) -> None:
    first, second = (write_backup(tmp_path, backup_of(install(version))) for version in ("v1.12.6", "v1.16.2"))
    assert [first.name, second.name] == [
        "vpc-cni-backup-20240301T120000Z.json",
        "vpc-cni-backup-20240301T120000Z-2.json",
    ]
    assert "v1.12.6" in first.read_text()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_an_error_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="could not be written"):
        write_backup(tmp_path / "file", backup_of(Inventory()))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2}',
        json.dumps({"format": 1, "taken_at": "2024-03-01T12:00:00+00:00", "objects": [{"kind": "Secret"}]}),
    ],
)
def test_other_files_are_no_backups(text: str) -> None:
    with pytest.raises(CallerError):
        parse_backup(text, "file")


def test_a_restore_of_the_same_state_writes_nothing(install: Install) -> None:
    live = as_live(install("v1.16.2"))
    plan = plan_restore(backup_of(live), live)
    assert [step for step in plan.steps if step.is_needed] == []
    assert plan.left == ()


def test_a_restore_takes_away_what_was_added_and_guards_against_later_changes(install: Install) -> None:
    before, after = as_live(install("v1.12.6")), as_live(install("v1.16.2", env={"WARM_IP_TARGET": "5"}))
    plan = plan_restore(parse_backup(encode_backup(backup_of(before)), "file"), after)
    (step,) = [each for each in plan.steps if each.manifest["kind"] == "DaemonSet"]
    paths = [change.path for change in step.changes]
    assert '.spec.template.spec.containers[name="aws-eks-nodeagent"]' in paths
    assert '.spec.template.spec.containers[name="aws-node"].env[name="WARM_IP_TARGET"]' in paths
    assert step.manifest["metadata"]["resourceVersion"] == "7"
    assert not {"uid", "managedFields"} & set(step.manifest["metadata"])
    assert {each.kind for each in plan.left} == {"ConfigMap", "CustomResourceDefinition"}


def test_objects_that_are_gone_are_made_anew_definitions_first(install: Install) -> None:
    saved = as_live(install("v1.16.2"))
    plan = plan_restore(backup_of(Inventory(tuple(reversed(saved.objects)))), Inventory())
    assert all(step.is_new and "resourceVersion" not in step.manifest["metadata"] for step in plan.steps)
    kinds = [step.manifest["kind"] for step in plan.steps]
    assert (kinds[0], kinds[-1]) == ("CustomResourceDefinition", "DaemonSet")


def test_tokens_of_the_live_account_are_kept(install: Install) -> None:
    def with_secret(name: str) -> Inventory:
        inventory = as_live(install("v1.16.2"))
        account(inventory)["secrets"] = [{"name": name}]
        return inventory

    def account(inventory: Inventory) -> Manifest:
        return next(each for each in inventory.objects if each["kind"] == "ServiceAccount")

    plan = plan_restore(backup_of(with_secret("old")), with_secret("new"))
    (step,) = [each for each in plan.steps if each.manifest["kind"] == "ServiceAccount"]
    assert not step.is_needed
    assert step.manifest["secrets"] == [{"name": "new"}]


def test_a_selector_that_differs_is_refused(install: Install) -> None:
    saved, live = as_live(install("v1.16.2")), as_live(install("v1.16.2"))
    assert saved.daemon_set is not None
    saved.daemon_set["spec"]["selector"] = {"matchLabels": {"app.kubernetes.io/name": "aws-node"}}
    with pytest.raises(RefusedError, match=r"\.spec\.selector differs"):
        plan_restore(backup_of(saved), live)
