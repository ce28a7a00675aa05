"""The page about the API names all that there is; a service that could not answer does not start."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.addons.api import ImageSource, Service
from vpc_cni.addons.api.operations import OPERATIONS
from vpc_cni.addons.errors import ApiError
from vpc_cni.addons.model import Owner
from vpc_cni.addons.store import Store, sqlite_url
from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.manifests import ImageSet, packaged_catalogue, parse_registry

PAGE = (Path(__file__).resolve().parents[3] / "docs/addons-api.md").read_text()
IMAGES = ImageSource(ImageSet.OWN, parse_registry("registry.example.com"))


def exceptions(root: type[ApiError] = ApiError) -> Iterator[type[ApiError]]:
    for each in root.__subclasses__():
        yield each
        yield from exceptions(each)


def test_every_operation_is_on_the_page() -> None:
    assert [each.name for each in OPERATIONS if f"`{each.name}`" not in PAGE] == []


@pytest.mark.parametrize("exception", list(exceptions()), ids=lambda each: each.code)
def test_every_exception_is_on_the_page_with_its_members(exception: type[ApiError]) -> None:
    assert f"`{exception.code}`" in PAGE
    assert ", ".join(exception.members) in PAGE


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"catalogue": replace(packaged_catalogue(), addon=None)}, ConfigurationError),
        ({"images": ImageSource(ImageSet.OWN)}, ConfigurationError),
        ({"owner": Owner("111122223333", "nowhere"), "images": ImageSource(ImageSet.AWS)}, CallerError),
        ({"images": replace(IMAGES, digests={"no-such-image": "sha256:" + "0" * 64})}, CallerError),
    ],
)
def test_what_cannot_work_does_not_start(tmp_path: Path, change: dict[str, Any], error: type[Exception]) -> None:
    store = Store(sqlite_url(tmp_path / "store.db"))
    whole: dict[str, Any] = {
        "store": store,
        "owner": Owner("111122223333", "us-west-2"),
        "catalogue": packaged_catalogue(),
        "images": IMAGES,
        "secret_of": {}.get,
    }
    Service(**whole)
    with pytest.raises(error):
        Service(**{**whole, **change})
    store.close()
