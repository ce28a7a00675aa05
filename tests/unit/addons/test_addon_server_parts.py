"""Keys, the vault, names and addresses of the service; its metrics are those that the documentation lists."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from vpc_cni.addons.clusters import open_vault
from vpc_cni.addons.model import OperationKind
from vpc_cni.addons.server.instance import Instance
from vpc_cni.addons.server.keys import open_keys
from vpc_cni.addons.server.metrics import Metrics
from vpc_cni.addons.server.options import Address, parse_address
from vpc_cni.addons.states import End
from vpc_cni.cluster.login import Login, open_login
from vpc_cni.errors import ConfigurationError, HostError

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "addons-operations.md"
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
    opening: Callable[[Path], object] = open_vault if name == "seal.key" else open_keys
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
        open_keys(file)


def test_a_pair_is_made_once(tmp_path: Path) -> None:
    keys, made = open_keys(tmp_path / "keys.json")
    assert made is not None
    assert keys == {made.id: made.secret}
    assert (len(made.id), len(made.secret)) == (20, 40)
    assert open_keys(tmp_path / "keys.json") == (keys, None)
    assert open_keys(tmp_path / "other.json")[0] != keys


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
    metrics = Metrics(lambda: 3)
    metrics.ended(OperationKind.CREATE, End.DONE, 2.0)
    shown = set(re.findall(r"^# TYPE (\w+) (?:counter|gauge|histogram)$", metrics.text().decode(), re.MULTILINE))
    listed = set(re.findall(r"`(vpc_cni_addons_\w+)`", DOCUMENT.read_text()))
    assert {each for each in shown if not each.endswith("_created")} == listed
    assert "vpc_cni_addons_operations_under_way 3.0" in metrics.text().decode()
