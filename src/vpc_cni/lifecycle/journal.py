"""Records of the state before each change: where they are, which is the newest, what goes into one.

A record is a backup (:mod:`vpc_cni.self_managed.backup`): the answer of EKS, and the objects where the
cluster was reached. To that answer the roles of pod identity associations are added, of which EKS shows ids only.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpc_cni.errors import CallerError, RefusedError
from vpc_cni.lifecycle.records import Association, EksCluster, ManagedAddon, parse_addon
from vpc_cni.self_managed import Backup, parse_backup

_ASSOCIATIONS = "podIdentityAssociationDetails"
# arn:aws:eks:us-west-2:111122223333:addon/my-cluster/vpc-cni/id
_ARN_PARTS = 6
_PATTERN = "vpc-cni-backup-*.json"
# Such names sort by time.
_STAMP = re.compile(r"vpc-cni-backup-(\d{8}T\d{6}Z)")


@dataclass(frozen=True, slots=True)
class Record:
    """One record, and the file it is in."""

    file: Path
    backup: Backup

    @property
    def addon(self) -> ManagedAddon | None:
        """The add-on as EKS had it; None where it had none."""
        return parse_addon(self.backup.eks_addon) if self.backup.eks_addon else None

    @property
    def cluster(self) -> str:
        """Account, region and name of the cluster in which EKS had it, with slashes; empty where it is not said."""
        parts = str(self.backup.eks_addon.get("addonArn") or "").split(":")
        return f"{parts[4]}/{parts[3]}/{parts[5].split('/')[1]}" if len(parts) == _ARN_PARTS and "/" in parts[5] else ""

    @property
    def associations(self) -> tuple[Association, ...] | None:
        """Pod identity associations that the add-on owned; None where there were some, and their roles are not told.

        So it is in backups of self-managed installations, which hold what EKS says and no more.
        """
        if _ASSOCIATIONS not in self.backup.eks_addon and self.backup.eks_addon.get("podIdentityAssociations"):
            return None
        found = self.backup.eks_addon.get(_ASSOCIATIONS) or ()
        return tuple(Association(each["serviceAccount"], each["roleArn"]) for each in found)


def records_folder(environ: Mapping[str, str], home: Path, cluster: EksCluster, chosen: str = "") -> Path:
    """Return where the records of a cluster are: one folder for each, since names repeat. Pure."""
    if chosen:
        return Path(chosen)
    state = environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else home / ".local" / "state"
    return base / "vpc-cni" / "records" / identify(cluster)


def identify(cluster: EksCluster) -> str:
    """Return account, region and name, with slashes. Pure."""
    return f"{cluster.account_id}/{cluster.region}/{cluster.name}"


def eks_answer(addon: ManagedAddon | None, associations: Iterable[Association]) -> dict[str, Any]:
    """Return what a record holds of EKS; nothing where EKS has no add-on. Pure."""
    if addon is None:
        return {}
    details = [{"serviceAccount": each.service_account, "roleArn": each.role_arn} for each in associations]
    return {**addon.raw, _ASSOCIATIONS: details}


def read_records(folder: Path) -> tuple[Record, ...]:
    """Return the records in a folder, oldest first; none where there is no folder. What is no record is left out."""
    if not folder.is_dir():
        return ()
    found = (_read(file) for file in sorted(folder.glob(_PATTERN)))
    return tuple(sorted((each for each in found if each), key=lambda each: (each.backup.taken_at, each.file.name)))


def find_newest(folder: Path, cluster: EksCluster) -> Record:
    """Return the newest record of a cluster. Records of others, which a chosen folder may hold too, do not matter.

    Raises:
        CallerError: there is none.
        RefusedError: a newer one cannot be read: the state before it is not the one to go back to.
    """
    ours = [each for each in read_records(folder) if each.cluster in ("", identify(cluster))]
    if not ours:
        raise CallerError(
            f"there is no record of cluster {cluster.name} in {folder}", hint="name one by --record or --records"
        )
    for file in sorted(folder.glob(_PATTERN), reverse=True):
        if _stamp(file) >= _stamp(ours[-1].file) and _read(file) is None:
            raise RefusedError(f"{file}, which may be the newest record, cannot be read", hint="name one by --record")
    return ours[-1]


def parse_record(text: str, file: Path) -> Record:
    """Read a record, so that all of it can be relied on. Pure.

    Raises:
        CallerError: it is none.
    """
    record = Record(file, parse_backup(text, str(file)))
    try:
        if record.backup.taken_at.tzinfo is None:
            raise ValueError("its time has no zone")
        _ = record.addon, record.associations, record.cluster
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        raise CallerError(f"{file} is no record: {err}") from err
    return record


def _read(file: Path) -> Record | None:
    try:
        return parse_record(file.read_text(encoding="utf-8"), file)
    except (OSError, UnicodeDecodeError, CallerError):
        return None


def _stamp(file: Path) -> str:
    found = _STAMP.match(file.name)
    return found[1] if found else ""
