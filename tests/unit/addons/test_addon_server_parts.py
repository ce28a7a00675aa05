"""Keys, the vault, names and addresses of the service; its metrics are those that the documentation lists."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from vpc_cni.addons.clusters import open_vault
from vpc_cni.addons.model import AddonStatus, OperationKind
from vpc_cni.addons.server.instance import Instance
from vpc_cni.addons.server.keys import AccessKeys
from vpc_cni.addons.server.metrics import Metrics
from vpc_cni.addons.server.options import Address, parse_address
from vpc_cni.addons.states import End
from vpc_cni.addons.store import Overview
from vpc_cni.cluster.login import Login, open_login
from vpc_cni.errors import ConfigurationError, HostError

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "addons-operations.md"
OVERVIEW = Overview(3, 12.5, {AddonStatus.ACTIVE: 5, AddonStatus.DEGRADED: 2}, clusters=4, unreachable=1)
LOGIN = Login("https://x:6443", "Q0E=", token="a-secret", client_key="another-secret", acts_as="eks:addon-manager")


def test_what_is_sealed_is_opened_by_the_same_key_for_the_same_cluster_only(tmp_path: Path) -> None:
    vault = open_vault(tmp_path / "a" / "seal.key")
    sealed = vault.seal("prod", LOGIN)
    assert b"secret" not in sealed
    assert open_vault(tmp_path / "a" / "seal.key").open("prod", sealed) == LOGIN
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    other = open_vault(tmp_path / "b" / "seal.key")
    for opened, name, text in (
        (vault, "other", sealed),
        (other, "prod", sealed),
        (vault, "prod", changed),
        (vault, "prod", b""),
        (vault, "prod", b"\x02" + sealed[1:]),
    ):
        with pytest.raises(ConfigurationError, match="cannot be opened"):
            opened.open(name, text)


def test_two_seals_of_the_same_differ(tmp_path: Path) -> None:
    vault = open_vault(tmp_path / "seal.key")
    assert vault.seal("prod", LOGIN) != vault.seal("prod", LOGIN)


def test_a_login_shows_no_secret() -> None:
    assert "secret" not in repr(LOGIN)


@pytest.mark.parametrize("name", ["seal.key", "access-keys.json"])
def test_keys_that_others_may_read_are_refused(tmp_path: Path, name: str) -> None:
    opening: Callable[[Path], object] = open_vault if name == "seal.key" else AccessKeys
    file = tmp_path / name
    opening(file)
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    with pytest.raises(HostError, match="may be read by others"):
        opening(file)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": 1}', '{"a": ""}', "nonsense"])
def test_access_keys_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.json"
    file.touch(0o600)
    file.write_text(text)
    with pytest.raises(ConfigurationError):
        AccessKeys(file)


def test_a_pair_is_made_once(tmp_path: Path) -> None:
    first = AccessKeys(tmp_path / "keys.json")
    assert first.made is not None
    assert (len(first.made.id), len(first.made.secret)) == (20, 40)
    again, other = AccessKeys(tmp_path / "keys.json"), AccessKeys(tmp_path / "other.json")
    assert (again.made, again.secret_of(first.made.id)) == (None, first.made.secret)
    assert other.secret_of(first.made.id) is None


def test_keys_follow_their_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    keys = AccessKeys(file)
    replace_file(file, '{"NEW": "secret"}')
    assert keys.secret_of("NEW") is None
    keys.refresh()
    assert (keys.secret_of("NEW"), len(keys)) == ("secret", 1), "the first pair is valid no more"


@pytest.mark.parametrize("text", ["", "{}", "nonsense", '{"NEW": 1}', None])
def test_keys_stay_after_a_mistake_in_their_file_which_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str | None
) -> None:
    file = tmp_path / "keys.json"
    keys = AccessKeys(file)
    assert keys.made is not None
    if text is None:
        file.unlink()
    else:
        replace_file(file, text)
    for _ in range(3):
        keys.refresh()
    assert keys.secret_of(keys.made.id) == keys.made.secret
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "keys of before are valid" in caplog.text
    assert keys.made.secret not in caplog.text
    replace_file(file, '{"NEW": "secret"}')
    keys.refresh()
    assert keys.secret_of("NEW") == "secret"


def test_keys_that_others_may_read_by_now_are_not_taken(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    keys = AccessKeys(file)
    file.write_text('{"NEW": "secret"}')
    file.chmod(0o644)
    keys.refresh()
    assert keys.secret_of("NEW") is None
    file.chmod(0o600)
    keys.refresh()
    assert keys.secret_of("NEW") == "secret"


def replace_file(file: Path, text: str) -> None:
    """Write a file as editors do: another one takes its place."""
    fresh = file.with_suffix(".fresh")
    fresh.touch(0o600)
    fresh.write_text(text)
    fresh.replace(file)


def test_a_process_comes_back_under_its_name_and_a_second_one_has_its_own(tmp_path: Path) -> None:
    first, second = Instance(tmp_path), Instance(tmp_path)
    assert first.name != second.name
    first.close()
    third = Instance(tmp_path)
    assert third.name == first.name
    for each in (second, third):
        each.close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8443", Address("127.0.0.1", 8443)),
        ("[::1]:0", Address("::1", 0)),
        ("localhost:1", Address("localhost", 1)),
    ],
)
def test_addresses_are_read(text: str, address: Address) -> None:
    assert parse_address(text, "--listen") == address


@pytest.mark.parametrize("text", ["", "8443", ":8443", "host:", "host:x", "host:70000"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--listen"):
        parse_address(text, "--listen")


@pytest.mark.parametrize(
    "login",
    [
        Login("http://x", ""),
        Login("https://x", "no base64"),
        Login("https://x", "Q0E="),
        Login("https://x", "", client_certificate="none", client_key="none"),
    ],
)
def test_a_login_that_cannot_be_used_is_a_configuration_error(login: Login) -> None:
    with pytest.raises(ConfigurationError):
        open_login(login)


def test_the_documentation_lists_every_metric_and_no_other() -> None:
    metrics = Metrics(lambda: OVERVIEW)
    metrics.ended(OperationKind.CREATE, End.DONE, 2.0)
    shown = set(re.findall(r"^# TYPE (\w+) (?:counter|gauge|histogram)$", metrics.text().decode(), re.MULTILINE))
    listed = set(re.findall(r"`(vpc_cni_addons_\w+)`", DOCUMENT.read_text()))
    assert {each for each in shown if not each.endswith("_created")} == listed
    for line in (
        "operations_under_way 3.0",
        "clusters_unreachable 1.0",
        'addons{status="DEGRADED"} 2.0',
        "store_up 1.0",
    ):
        assert f"vpc_cni_addons_{line}\n" in metrics.text().decode()


def test_metrics_are_there_when_the_store_is_away() -> None:
    def away() -> Overview:
        raise OSError

    metrics = Metrics(away)
    metrics.ended(OperationKind.CREATE, End.DONE, 2.0)
    text = metrics.text().decode()
    assert "vpc_cni_addons_store_up 0.0\n" in text
    assert 'vpc_cni_addons_operations_total{end="DONE",kind="create"} 1.0\n' in text
