"""Container images without a registry: an OCI image layout in one tar file, for ``ctr images import``.

Source: OCI image specification, "image layout", "image index", "image manifest", "image configuration". Pure: the
same files give the same bytes.
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
# By this annotation containerd names an imported image.
NAME_ANNOTATION = "io.containerd.image.name"
GO_ARCHITECTURES: Mapping[str, str] = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Image:
    """What an image holds and does: ``files`` by absolute path are executables; ``links`` are symbolic links."""

    name: str
    files: Mapping[str, bytes]
    entrypoint: Sequence[str]
    links: Mapping[str, str] = field(default_factory=dict)


def encode_archive(image: Image, machine: str | None = None) -> bytes:
    """Return the tar file of an image for one machine type (default: this one)."""
    layer = _encode_layer(image)
    config = _encode_json(_config(image, layer, GO_ARCHITECTURES.get(machine or platform.machine(), "amd64")))
    manifest = _encode_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _descriptor(CONFIG_TYPE, config),
            "layers": [_descriptor(LAYER_TYPE, layer)],
        }
    )
    entry = {**_descriptor(MANIFEST_TYPE, manifest), "annotations": {NAME_ANNOTATION: image.name}}
    index = _encode_json({"schemaVersion": 2, "manifests": [entry]})
    blobs = {f"blobs/sha256/{_digest(blob)}": blob for blob in (layer, config, manifest)}
    return _encode_tar({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index, **blobs}, {}, 0o644)


def _encode_layer(image: Image) -> bytes:
    return _encode_tar({path.lstrip("/"): data for path, data in image.files.items()}, image.links, 0o755)


def _encode_tar(files: Mapping[str, bytes], links: Mapping[str, str], mode: int) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
        for name, target in sorted(links.items()):
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return output.getvalue()


def _config(image: Image, layer: bytes, architecture: str) -> dict[str, object]:
    return {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": list(image.entrypoint), "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}"]},
    }


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": f"sha256:{_digest(blob)}", "size": len(blob)}


def _digest(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


def _encode_json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
