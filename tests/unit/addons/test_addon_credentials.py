"""Logins of registered clusters: what is refused before anything is sent, what shows, and what survives a kill."""

import json
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vpc_cni.addons.clusters import Wish, open_vault, register
from vpc_cni.addons.model import ClusterRecord
from vpc_cni.addons.server.keys import AccessKeys
from vpc_cni.addons.server.options import ServeOptions
from vpc_cni.addons.store import ClusterExistsError, NoClusterError, Store, sqlite_url
from vpc_cni.cli.addons import app
from vpc_cni.cluster.client import Place
from vpc_cni.cluster.login import Login, check_server, open_login
from vpc_cni.errors import CallerError, ConfigurationError

SECRET = "nobody-may-see-this"


def kubeconfig(folder: Path, **cluster: object) -> Place:
    file = folder / "kubeconfig"
    document = {
        "current-context": "tests",
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": {"token": "of-an-operator"}}],
    }
    file.write_text(json.dumps(document))
    return Place(file)


@pytest.mark.parametrize(
    "server",
    [
        "http://127.0.0.1:6443",
        "HTTPS:127.0.0.1",
        "https://",
        "https://127.0.0.1:port",
        "https://127.0.0.1:99999",
        "https://[::1",
        f"https://user:{SECRET}@127.0.0.1:6443",
        f"https://{SECRET}@127.0.0.1:6443",
        f"https://127.0.0.1:6443/?token={SECRET}",
        f"https://127.0.0.1:6443/#{SECRET}",
        f"http://user:{SECRET}@127.0.0.1:6443",
    ],
)
def test_servers_that_cannot_be_shown_or_trusted(server: str) -> None:
    for check in (check_server, open_login):
        with pytest.raises(ConfigurationError) as caught:
            check(Login(server, ""))
        assert SECRET not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("server", ["https://127.0.0.1:6443", "https://[::1]:6443", "https://api.example.com/k8s/c-1"])
def test_servers_that_can(server: str) -> None:
    assert check_server(Login(server, "")).server == server


@pytest.mark.parametrize(
    "cluster",
    [
        {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": True},
        {"server": "https://127.0.0.1:1"},
        {"server": "http://127.0.0.1:1", "certificate-authority-data": "Q0E="},
        {"server": f"https://user:{SECRET}@127.0.0.1:1", "certificate-authority-data": "Q0E="},
    ],
    ids=["insecure", "no authority", "plain", "user"],
)
def test_nothing_is_sent_to_a_server_that_cannot_be_known_again(tmp_path: Path, cluster: dict[str, object]) -> None:
    """Nothing listens there: had anything been sent, that would be the error."""
    store = Store(sqlite_url(tmp_path / "store.db"))
    try:
        with pytest.raises(ConfigurationError):
            register(Wish("prod", kubeconfig(tmp_path, **cluster)), store, open_vault(tmp_path / "seal.key"))
    finally:
        store.close()


@pytest.mark.parametrize(
    ("wish", "replaced", "refusal"),
    [
        ({"name": "there"}, False, ClusterExistsError),
        ({"name": "missing"}, True, NoClusterError),
        ({"name": "no/name"}, False, CallerError),
        ({"name": "n" * 101}, False, CallerError),
        ({"name": "new", "eks_version": "latest"}, False, CallerError),
    ],
    ids=["there", "missing", "no name", "long", "version"],
)
def test_nothing_is_made_in_a_cluster_that_cannot_be_registered(
    tmp_path: Path, wish: dict[str, str], replaced: bool, refusal: type[Exception]
) -> None:
    """Nothing listens there, as above."""
    place = kubeconfig(tmp_path, server="https://127.0.0.1:1", **{"certificate-authority-data": "Q0E="})
    store = Store(sqlite_url(tmp_path / "store.db"))
    try:
        store.clusters.add(ClusterRecord("there", "uid", "1.29", "https://x", "", 1.0))
        with pytest.raises(refusal):
            register(Wish(place=place, **wish), store, open_vault(tmp_path / "seal.key"), replaced=replaced)
    finally:
        store.close()


def test_a_cluster_whose_rights_cannot_be_withdrawn_is_not_forgotten(tmp_path: Path) -> None:
    place = kubeconfig(tmp_path, server="https://127.0.0.1:1", **{"certificate-authority-data": "Q0E="})
    store = Store(sqlite_url(tmp_path / "store.db"))
    try:
        store.clusters.add(ClusterRecord("prod", "uid", "1.29", "https://x", "", 1.0))
        command = ["unregister-cluster", "prod", "--state-folder", str(tmp_path)]
        options = ["--withdraw", "--kubeconfig", str(place.kubeconfig)]
        assert CliRunner().invoke(app, [*command, *options]).exit_code != 0
        assert store.clusters.get("prod").name == "prod"
        assert CliRunner().invoke(app, command).output == "forgot prod\n"
    finally:
        store.close()


def test_a_wish_shows_no_secret() -> None:
    wish = Wish("prod", Place(Path("/x")), token=SECRET, client_certificate="public", client_key=SECRET)
    assert SECRET not in repr(wish)


def test_what_a_service_starts_with_shows_no_secret(tmp_path: Path) -> None:
    made = AccessKeys(tmp_path / "access-keys.json").made
    assert made is not None
    assert made.secret not in repr(made)
    shown = {each.name for each in fields(ServeOptions) if each.repr}
    assert "store_url" not in shown, "it may hold a password"


@pytest.mark.parametrize("name", ["seal.key", "access-keys.json"])
def test_what_a_kill_left_keeps_no_key_from_being_made_at_once(tmp_path: Path, name: str) -> None:
    """In a container every process has the same id, so a name made of it is met again."""
    (tmp_path / f"{name}.{os.getpid()}").write_bytes(b"half")
    opening: Callable[[Path], object] = open_vault if name == "seal.key" else AccessKeys
    opening(tmp_path / name)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert len(list(tmp_path.iterdir())) == 2, "nothing of ours is left"


def test_all_files_of_a_store_in_use_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store(sqlite_url(tmp_path / "state" / "store.db"))
        try:
            store.leases.take_back("nobody")
            modes = {each.name: each.stat().st_mode & 0o777 for each in (tmp_path / "state").iterdir()}
        finally:
            store.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), 0o600)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
