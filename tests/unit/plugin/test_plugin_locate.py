"""Where the binaries lie."""

import pytest

from vpc_cni.errors import HostError
from vpc_cni.plugin import ARCHITECTURES, build, host_architecture, plugin_path


def test_a_binary_is_found_by_architecture(tmp_path):
    for arch in ARCHITECTURES:
        (tmp_path / arch).mkdir()
        (tmp_path / arch / "aws-cni").touch()
        assert plugin_path(arch, bin_directory=tmp_path) == tmp_path / arch / "aws-cni"
    assert plugin_path(bin_directory=tmp_path) == tmp_path / host_architecture() / "aws-cni"


@pytest.mark.parametrize("arch", ["x86_64", "riscv64"])
def test_a_missing_binary_says_how_to_get_it(tmp_path, arch):
    with pytest.raises(HostError, match=f"no aws-cni for {arch}.*vpc_cni.plugin.build"):
        plugin_path(arch, bin_directory=tmp_path)


def test_build_and_finder_agree():
    """The build module stands alone for the wheel's hook, so it repeats these."""
    from vpc_cni.plugin import locate  # noqa: PLC0415

    assert build.ARCHITECTURES == locate.ARCHITECTURES
    assert build.BIN_DIRECTORY == locate.BIN_DIRECTORY
    assert build.PLUGIN_NAME == locate.PLUGIN_NAME
