"""Make deploy/ from the renderer: the Helm chart and plain manifests. ``make docs`` writes them; a test compares."""

import sys
from pathlib import Path

from vpc_cni import __version__
from vpc_cni.manifests import (
    ImageSet,
    Profile,
    Registry,
    RenderOptions,
    encode_yaml,
    find_region,
    packaged_catalogue,
    plan_images,
    render,
    render_chart,
)

TARGET = Path(__file__).resolve().parent.parent / "deploy"
CHART = "helm/vpc-cni"

_OWN_COMMENT = """\
vpc-cni as {version}, with this project's images. Made by `make docs`; do not edit.
Put your registry in the place of registry.example.com, or better:
  vpc-cni self-managed render --version {version} --registry YOUR.REGISTRY:PORT/FOLDER"""
_AWS_COMMENT = """\
The reference {version} in {region}, for comparison and for going back. Made by `make docs`; do not edit.
  vpc-cni self-managed render --version {version} --image-set aws --region {region}"""
# The files that the reference publishes: name, and region of the registry.
_REFERENCE = {
    "aws-k8s-cni.yaml": "us-west-2",
    "aws-k8s-cni-cn.yaml": "cn-northwest-1",
    "aws-k8s-cni-us-gov-east-1.yaml": "us-gov-east-1",
    "aws-k8s-cni-us-gov-west-1.yaml": "us-gov-west-1",
}


def render_files() -> dict[str, str]:
    """Return every generated file: path below deploy/, and text."""
    profile = packaged_catalogue().default_profile()
    files = {f"{CHART}/{path}": text for path, text in render_chart(profile, __version__).items()}
    files["manifests/vpc-cni.yaml"] = _manifest(
        profile, ImageSet.OWN, Registry("registry.example.com"), _OWN_COMMENT.format(version=profile.version)
    )
    for name, region in _REFERENCE.items():
        registry = find_region(region).registry
        assert registry is not None  # noqa: S101 - a tool
        comment = _AWS_COMMENT.format(version=profile.version, region=region)
        files[f"manifests/reference/{name}"] = _manifest(profile, ImageSet.AWS, registry, comment)
    return files


def _manifest(profile: Profile, image_set: ImageSet, registry: Registry, comment: str) -> str:
    rendered = render(profile, RenderOptions(plan_images(profile, image_set, registry)))
    return encode_yaml(rendered.objects, comment)


def main() -> None:
    for path, text in render_files().items():
        if "--write" in sys.argv:
            (TARGET / path).parent.mkdir(parents=True, exist_ok=True)
            (TARGET / path).write_text(text)
        else:
            sys.stdout.write(f"# {path}\n{text}")


if __name__ == "__main__":
    main()
