"""Images as OCI archives: what a runtime reads out of them."""

import hashlib
import io
import json
import tarfile

from vpc_cni.lab.kubernetes.images.archive import NAME_ANNOTATION, Image, encode_archive

IMAGE = Image("localhost/tool:1", {"/bin/tool": b"\x7fELF..."}, ["/bin/tool"], {"/bin/alias": "tool"})


def read_files(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {entry.name: (archive.extractfile(entry) or io.BytesIO()).read() for entry in archive if entry.isfile()}


def test_every_blob_is_named_by_its_content_and_reached_from_the_index() -> None:
    files = read_files(encode_archive(IMAGE, "x86_64"))
    blobs = {name.removeprefix("blobs/"): data for name, data in files.items() if name.startswith("blobs/")}
    assert all(name == f"sha256/{hashlib.sha256(data).hexdigest()}" for name, data in blobs.items())
    entry = json.loads(files["index.json"])["manifests"][0]
    assert entry["annotations"] == {NAME_ANNOTATION: "localhost/tool:1"}
    manifest = json.loads(blobs[entry["digest"].replace(":", "/")])
    reached = [entry, manifest["config"], *manifest["layers"]]
    assert {each["digest"].replace(":", "/") for each in reached} == set(blobs)
    assert all(each["size"] == len(blobs[each["digest"].replace(":", "/")]) for each in reached)


def test_the_configuration_names_the_layer_the_machine_and_the_program() -> None:
    files = read_files(encode_archive(IMAGE, "aarch64"))
    manifest = json.loads(files["blobs/sha256/" + json.loads(files["index.json"])["manifests"][0]["digest"][7:]])
    config = json.loads(files["blobs/sha256/" + manifest["config"]["digest"][7:]])
    assert config["architecture"] == "arm64"
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    assert config["config"]["Entrypoint"] == ["/bin/tool"]


def test_a_layer_holds_executables_and_links() -> None:
    files = read_files(encode_archive(IMAGE))
    manifest = json.loads(files["blobs/sha256/" + json.loads(files["index.json"])["manifests"][0]["digest"][7:]])
    with tarfile.open(fileobj=io.BytesIO(files["blobs/sha256/" + manifest["layers"][0]["digest"][7:]])) as layer:
        assert layer.getmember("bin/tool").mode == 0o755
        assert layer.getmember("bin/alias").linkname == "tool"


def test_the_same_image_is_the_same_file() -> None:
    assert encode_archive(IMAGE, "x86_64") == encode_archive(IMAGE, "x86_64")
