"""Records of the state before each change: where they are, which is the newest, what goes into one.

A record is a backup (:mod:`vpc_cni.self_managed.backup`): the answer of EKS, and the objects where the
cluster was reached. To that answer the roles of pod identity associations are added, of which EKS shows ids only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpc_cni.errors import CallerError
from vpc_cni.lifecycle.records import Association, EksCluster, ManagedAddon, parse_addon
from vpc_cni.self_managed import Backup, parse_backup

_ASSOCIATIONS = "podIdentityAssociationDetails"
# arn:aws:eks:us-west-2:111122223333:addon/my-cluster/vpc-cni/id
_ARN_PARTS = 6


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
    def associations(self) -> tuple[Association, ...]:
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
    found = (_read(file) for file in sorted(folder.glob("vpc-cni-backup-*.json")))
    return tuple(sorted((each for each in found if each), key=lambda each: (each.backup.taken_at, each.file.name)))


def _read(file: Path) -> Record | None:
    try:
        return Record(file, parse_backup(file.read_text(encoding="utf-8"), str(file)))
    except (OSError, UnicodeDecodeError, CallerError):
        return None
