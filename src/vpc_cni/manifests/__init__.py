"""The Kubernetes objects of the add-on: what exists, what each version looks like, and how two objects differ.

Public API. Pure: values in, values out; nothing here reads files other than its own packaged tables, opens a
connection or looks at a clock.

    >>> from vpc_cni.manifests import *
    >>> profile = packaged_catalogue().find(parse_addon_version("v1.16.2"))
    >>> images = plan_images(profile, ImageSet.OWN, parse_registry("mirror.example.com:5000/team"))
    >>> rendered = render(profile, RenderOptions(images))
    >>> [each["kind"] for each in rendered.objects][-1]
    'DaemonSet'
"""

from vpc_cni.manifests.catalogue import (
    Approximation,
    Catalogue,
    NewestVersions,
    Restriction,
    packaged_catalogue,
    parse_catalogue,
)
from vpc_cni.manifests.configuration import (
    Configuration,
    EniConfig,
    find_unplaced,
    parse_configuration_text,
    read_configuration,
)
from vpc_cni.manifests.definitions import Manifest
from vpc_cni.manifests.difference import (
    Change,
    ChangeKind,
    ObjectName,
    find_changes,
    name_of,
    strip_server_fields,
)
from vpc_cni.manifests.helm import render_chart
from vpc_cni.manifests.images import (
    ImageReference,
    Images,
    ImageSet,
    metrics_helper_image,
    parse_image_reference,
    plan_images,
)
from vpc_cni.manifests.offers import Addon, Offer
from vpc_cni.manifests.profile import PolicyRule, Profile, Trait
from vpc_cni.manifests.quantities import canonical_quantity, parse_quantity
from vpc_cni.manifests.registries import (
    Partition,
    Region,
    Registry,
    find_region,
    known_regions,
    parse_registry,
)
from vpc_cni.manifests.render import IpFamily, Rendered, RenderOptions, render
from vpc_cni.manifests.schema import Schema, configuration_schema, schema_text
from vpc_cni.manifests.versions import (
    AddonVersion,
    KubernetesVersion,
    parse_addon_version,
    parse_kubernetes_version,
)
from vpc_cni.manifests.yaml_text import encode_yaml, parse_yaml

__all__ = [
    "Addon",
    "AddonVersion",
    "Approximation",
    "Catalogue",
    "Change",
    "ChangeKind",
    "Configuration",
    "EniConfig",
    "ImageReference",
    "ImageSet",
    "Images",
    "IpFamily",
    "KubernetesVersion",
    "Manifest",
    "NewestVersions",
    "ObjectName",
    "Offer",
    "Partition",
    "PolicyRule",
    "Profile",
    "Region",
    "Registry",
    "RenderOptions",
    "Rendered",
    "Restriction",
    "Schema",
    "Trait",
    "canonical_quantity",
    "configuration_schema",
    "encode_yaml",
    "find_changes",
    "find_region",
    "find_unplaced",
    "known_regions",
    "metrics_helper_image",
    "name_of",
    "packaged_catalogue",
    "parse_addon_version",
    "parse_catalogue",
    "parse_configuration_text",
    "parse_image_reference",
    "parse_kubernetes_version",
    "parse_quantity",
    "parse_registry",
    "parse_yaml",
    "plan_images",
    "read_configuration",
    "render",
    "render_chart",
    "schema_text",
    "strip_server_fields",
]
