"""Backups: everything the cluster had of the add-on, whole, in one file. Decisions here are pure but for one writer.

The file is JSON: ``format`` 1, ``taken_at`` (RFC 3339, UTC), ``kubernetes_version``, ``addon_type``, ``eks_addon`` (the
record of DescribeAddon, null without), and ``objects`` as the API server showed them, ``managedFields`` and all.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vpc_cni.cluster.inventory import Inventory, reference_of
from vpc_cni.errors import CallerError, HostError, InternalError
from vpc_cni.manifests import Manifest

FORMAT = 1
_MOST_NAMES = 1000


@dataclass(frozen=True, slots=True)
class Backup:
    """The state of an installation at one moment; ``eks_addon`` is empty where EKS manages nothing or was not asked."""

    taken_at: datetime
    kubernetes_version: str
    addon_type: str
    inventory: Inventory
    eks_addon: Mapping[str, Any]


def encode_backup(backup: Backup) -> str:
    """Return the text of a backup file. Pure."""
    document = {
        "format": FORMAT,
        "taken_at": backup.taken_at.astimezone(UTC).isoformat(),
        "kubernetes_version": backup.kubernetes_version,
        "addon_type": backup.addon_type,
        "eks_addon": dict(backup.eks_addon) or None,
        "objects": list(backup.inventory.objects),
    }
    # Times in the record of EKS are no JSON.
    return json.dumps(document, indent=2, default=str) + "\n"


def parse_backup(text: str, origin: str) -> Backup:
    """Read a backup file; ``origin`` names it in messages. Pure.

    Raises:
        CallerError: it is none, or of another format, or holds what is not the add-on's.
    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise CallerError(f"{origin} has format {document['format']}; this version reads {FORMAT}")
        objects: tuple[Manifest, ...] = tuple(document["objects"])
        for each in objects:
            reference_of(each)
        return Backup(
            taken_at=datetime.fromisoformat(document["taken_at"]),
            kubernetes_version=str(document["kubernetes_version"]),
            addon_type=str(document["addon_type"]),
            inventory=Inventory(objects),
            eks_addon=document["eks_addon"] or {},
        )
    except InternalError as err:
        raise CallerError(f"{origin}: {err.message}") from err
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise CallerError(f"{origin} is no backup: {err}") from err


def write_backup(folder: Path, backup: Backup) -> Path:
    """Write a backup to a new file, readable by its owner only, and return it. Never replaces a file.

    The file appears whole or not at all: it is written under another name, and linked.

    Raises:
        HostError: it could not be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=".vpc-cni-backup-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(encode_backup(backup))
                file.flush()
                os.fsync(file.fileno())
            return _link(Path(name), folder, backup.taken_at)
        finally:
            Path(name).unlink()
    except OSError as err:
        raise HostError(f"the backup could not be written to {folder}: {err.strerror}") from err


def _link(written: Path, folder: Path, taken_at: datetime) -> Path:
    stem = f"vpc-cni-backup-{taken_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    for number in range(1, _MOST_NAMES):
        file = folder / (f"{stem}.json" if number == 1 else f"{stem}-{number}.json")
        try:
            # Fails where the name is taken, unlike a rename.
            os.link(written, file)
        except FileExistsError:
            continue
        return file
    raise HostError(f"{folder} holds {_MOST_NAMES} backups of one second")
