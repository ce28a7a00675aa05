"""An archive of images under other names: an image's file says what it is called, its contents do not.

The names stand in one small file of an OCI image layout; everything else is copied as it is.
Source: OCI image specification, "image layout", "annotations" (``org.opencontainers.image.ref.name``).
"""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from vpc_cni.errors import CallerError

INDEX = "index.json"
REFERENCE = "org.opencontainers.image.ref.name"


def rename_images(source: Path, target: Path, names: Mapping[str, str]) -> None:
    """Write a copy of an archive whose images have the given names.

    Args:
        source: an OCI image layout in a tar file whose images are named by annotations.
        names: new names by repository, which is the last part of a name without its tag.

    Raises:
        CallerError: the file is no such archive, or lacks one of the images.
    """
    try:
        with tarfile.open(source) as before, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as after:
            for entry in before:
                content = before.extractfile(entry)
                if entry.name == INDEX and content is not None:
                    data = rename_index(content.read(), names)
                    entry.size, content = len(data), io.BytesIO(data)
                after.addfile(entry, content)
    except (tarfile.TarError, ValueError, KeyError) as err:
        raise CallerError(f"{source} is no archive with the images {', '.join(names)}: {err}") from err


def rename_index(index: bytes, names: Mapping[str, str]) -> bytes:
    """Return an index with the images of ``names`` alone, under their new names. Pure.

    Raises:
        ValueError: it is no index.
        KeyError: it lacks a field or one of the images.
    """
    document = json.loads(index)
    found = {repository(entry["annotations"][REFERENCE]): entry for entry in document["manifests"]}
    renamed = [{**found[key], "annotations": {REFERENCE: name}} for key, name in names.items()]
    return json.dumps({**document, "manifests": renamed}).encode()


def repository(name: str) -> str:
    """Return the last part of an image's name without its tag. Pure."""
    return name.rpartition("/")[2].partition(":")[0]
