"""Installations made by the renderer, as an API server without defaults would show them."""

from collections.abc import Callable
from typing import Any

import pytest

from vpc_cni.cluster import Inventory
from vpc_cni.manifests import (
    ImageSet,
    Registry,
    RenderOptions,
    packaged_catalogue,
    parse_addon_version,
    plan_images,
    read_configuration,
    render,
)

ROLE = "arn:aws:iam::111122223333:role/AmazonEKSVPCCNIRole"


@pytest.fixture
def install() -> Callable[..., Inventory]:
    def make(version: str, image_set: ImageSet = ImageSet.AWS, role_arn: str = "", **values: Any) -> Inventory:
        profile = packaged_catalogue().find(parse_addon_version(version))
        images = plan_images(profile, image_set, Registry("mirror.example.com:5000", "team"))
        options = RenderOptions(images, read_configuration(values, profile), role_arn=role_arn)
        return Inventory(render(profile, options).objects)

    return make
