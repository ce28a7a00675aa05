"""Kernel parameters are written only when they differ."""

from pathlib import Path

import pytest

from vpc_cni.errors import ConfigurationError, HostError
from vpc_cni.install import Sysctl, apply_sysctls, plan_sysctls
from vpc_cni.settings import InstallSettings, load_install_settings

DEMUX = "net/ipv4/tcp_early_demux"
OFF = Sysctl(DEMUX, "0", is_required=True)
ON = Sysctl(DEMUX, "1", is_required=False)


@pytest.fixture
def proc_sys(tmp_path: Path) -> Path:
    (tmp_path / DEMUX).parent.mkdir(parents=True)
    (tmp_path / DEMUX).write_text("1\n")
    return tmp_path


def plan(**environ: str) -> tuple[Sysctl, ...]:
    return plan_sysctls(load_install_settings(environ))


def test_early_demux_is_on_unless_turned_off() -> None:
    assert plan() == (ON,)
    assert plan(DISABLE_TCP_EARLY_DEMUX="false") == (ON,)
    assert plan(DISABLE_TCP_EARLY_DEMUX="true") == (OFF,)


def test_what_differs_is_written(proc_sys: Path) -> None:
    assert apply_sysctls([OFF], proc_sys) == ["net.ipv4.tcp_early_demux set to 0"]
    assert (proc_sys / DEMUX).read_text() == "0\n"
    assert apply_sysctls([OFF], proc_sys) == []


def test_what_this_kernel_lacks_is_skipped(tmp_path: Path) -> None:
    assert apply_sysctls([OFF], tmp_path) == []


def test_what_is_required_and_cannot_be_written_is_an_error(proc_sys: Path) -> None:
    (proc_sys / DEMUX).unlink()
    (proc_sys / DEMUX).mkdir()
    with pytest.raises(HostError, match=r"cannot set net\.ipv4\.tcp_early_demux to 0: .*: run the init container"):
        apply_sysctls([OFF], proc_sys)


def test_what_is_not_required_and_cannot_be_written_is_left_as_it_is(proc_sys: Path) -> None:
    (proc_sys / DEMUX).unlink()
    (proc_sys / DEMUX).mkdir()
    (line,) = apply_sysctls([ON], proc_sys)
    assert line.startswith("cannot set net.ipv4.tcp_early_demux to 1: ")
    assert line.endswith("; left as it is")


def test_settings_default_to_the_reference() -> None:
    assert load_install_settings({}) == InstallSettings(bin_dir=Path("/host/opt/cni/bin"), tcp_early_demux=True)
    # As the add-on's manifest says it.
    environ = {"DISABLE_TCP_EARLY_DEMUX": "false", "ENABLE_IPv6": "false", "ENABLE_V6_EGRESS": "false"}
    assert load_install_settings(environ) == load_install_settings({})


def test_every_wrong_setting_is_named_at_once() -> None:
    environ = {"HOST_CNI_BIN_PATH": "opt", "DISABLE_TCP_EARLY_DEMUX": "yes", "ENABLE_IPv6": "true"}
    with pytest.raises(ConfigurationError) as caught:
        load_install_settings(environ)
    for name in environ:
        assert name in str(caught.value)
    assert "IPv6 pods are not built yet" in str(caught.value)
