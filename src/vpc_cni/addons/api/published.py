"""The manifests of self-managed installations, at the paths where the reference publishes them. Unsigned."""

import re

from vpc_cni.addons.api.service import Service
from vpc_cni.addons.rules import parse_version
from vpc_cni.manifests import RenderOptions, encode_yaml, render

# The same path as on the host that the reference publishes at, with or without the name of its repository.
_PATH = re.compile(
    r"(?:/aws/amazon-vpc-cni-k8s)?/(v[0-9.]{5,20})/config/master/(aws-k8s-cni[a-z0-9-]*\.yaml)", re.ASCII
)
# The file, and the region whose registry it names.
_REGIONS = {
    "aws-k8s-cni.yaml": "us-west-2",
    "aws-k8s-cni-cn.yaml": "cn-northwest-1",
    "aws-k8s-cni-us-gov-east-1.yaml": "us-gov-east-1",
    "aws-k8s-cni-us-gov-west-1.yaml": "us-gov-west-1",
}


class PublishedManifests:
    """Renders each file once: there are few."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._texts: dict[tuple[str, str], bytes] = {}

    def concerns(self, path: str) -> bool:
        """Tell whether a path names such a file, known or not."""
        return _PATH.fullmatch(path) is not None

    def read(self, path: str) -> bytes | None:
        """Return a file as YAML; None when the version or the file is not known."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        version, file = found.groups()
        key = (version, file)
        if key not in self._texts:
            text = self._render(version, _REGIONS.get(file, ""))
            if text is None:
                return None
            self._texts[key] = text
        return self._texts[key]

    def _render(self, text: str, region: str) -> bytes | None:
        service, version = self._service, parse_version(text)
        if not region or version not in service.catalogue.deployable:
            return None
        profile = service.catalogue.find(version)
        rendered = render(profile, RenderOptions(service.images.plan(profile, region)))
        return encode_yaml(rendered.objects).encode()
