"""Another key for stored credentials: every one can be read at every moment, and who was killed begins anew."""

import base64
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vpc_cni.addons.clusters import Vault, add_key, drop_key, open_vault, promote_key, reseal, rotate
from vpc_cni.addons.clusters.key_files import next_file, old_file
from vpc_cni.addons.model import ClusterRecord
from vpc_cni.addons.store import Store, sqlite_url
from vpc_cni.cli.addons import app
from vpc_cni.cluster.login import Login
from vpc_cni.errors import CallerError, ConfigurationError, HostError

NAMES = [f"c-{number}" for number in range(7)]


class Site:
    """A store with credentials of several clusters, and the key that seals them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.key = folder, folder / "seal.key"
        self.store = Store(sqlite_url(folder / "store.db"))
        self.vault = open_vault(self.key)
        self.first = self.key.read_bytes()
        for name in NAMES:
            self.register(name, self.vault)

    def register(self, name: str, vault: Vault) -> None:
        record = ClusterRecord(name, f"uid-{name}", "1.29", f"https://{name}", "", 1.0)
        self.store.clusters.add(record, vault.seal(name, Login(f"https://{name}", "", token=f"of-{name}")))

    def sealed(self, name: str) -> bytes:
        found = self.store.clusters.credential(name)
        assert found is not None
        return found

    def can_read(self, vault: Vault) -> bool:
        return all(vault.open(name, self.sealed(name)).token == f"of-{name}" for name in NAMES)

    @property
    def files(self) -> set[str]:
        return {each.name for each in self.folder.iterdir() if each.name.startswith("seal.key")}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.store.close()


def half_resealed(site: Site) -> None:
    add_key(site.key)
    promote_key(site.key)
    vault = Vault(site.key)
    for name in NAMES[:3]:
        assert site.store.clusters.reseal(
            name, site.sealed(name), vault.seal(name, vault.open(name, site.sealed(name)))
        )


def linked_only(site: Site) -> None:
    add_key(site.key)
    old_file(site.key).hardlink_to(site.key)


def all_but_dropped(site: Site) -> None:
    add_key(site.key)
    promote_key(site.key)
    reseal(site.store, Vault(site.key))


def added(site: Site) -> None:
    add_key(site.key)


def promoted(site: Site) -> None:
    add_key(site.key)
    promote_key(site.key)


def nothing(_site: Site) -> None:
    """Nobody has begun."""


@pytest.mark.parametrize("killed_after", [nothing, added, linked_only, promoted, half_resealed, all_but_dropped])
def test_a_rotation_goes_on_where_one_before_was_killed(site: Site, killed_after: Callable[[Site], None]) -> None:
    killed_after(site)
    assert site.can_read(site.vault), "a service that runs since before"
    assert site.can_read(Vault(site.key)), "a service that starts now"
    rotate(site.key, site.store)
    assert site.files == {"seal.key"}
    assert site.key.read_bytes() != site.first
    assert site.can_read(site.vault)
    assert site.can_read(Vault(site.key))
    assert site.key.stat().st_mode & 0o777 == 0o600


def test_what_was_sealed_with_the_old_key_is_nothing_for_the_new_one(site: Site) -> None:
    before = site.sealed(NAMES[0])
    assert rotate(site.key, site.store).number == len(NAMES)
    assert site.sealed(NAMES[0]) != before
    with pytest.raises(ConfigurationError):
        Vault(site.key).open(NAMES[0], before)


class Reader:
    """A service that reads all credentials again and again, in a thread."""

    def __init__(self, site: Site) -> None:
        self.failures: list[Exception] = []
        self._site = site
        self._ending = threading.Event()
        self._read = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait_for_a_whole_round(self) -> None:
        while self._read.acquire(blocking=False):
            pass
        for _ in range(2):
            assert self._read.acquire(timeout=20) or self.failures

    def end(self) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                assert self._site.can_read(self._site.vault)
                assert self._site.can_read(open_vault(self._site.key))
                self._read.release()
        except Exception as err:
            self.failures.append(err)
            self._read.release(100)


def test_a_running_service_reads_at_every_moment(site: Site) -> None:
    reader = Reader(site)
    try:
        for _ in range(10):
            rotate(site.key, site.store)
            reader.wait_for_a_whole_round()
    finally:
        reader.end()
    assert reader.failures == []


def test_replicas_with_files_of_their_own_read_at_every_step(site: Site, tmp_path: Path) -> None:
    there = tmp_path / "replica" / "seal.key"
    there.parent.mkdir()
    shutil.copy2(site.key, there)
    replica = Vault(there)
    shutil.copy2(add_key(site.key), next_file(there))
    assert site.can_read(replica)
    promote_key(site.key)
    assert site.can_read(replica)
    reseal(site.store, Vault(site.key))
    assert site.can_read(replica)
    assert site.can_read(Vault(there))
    assert drop_key(site.key, site.store, Vault(site.key))
    next_file(there).rename(there)
    assert site.can_read(replica)
    assert site.can_read(Vault(there))


def test_the_old_key_stays_while_anything_is_sealed_with_it(site: Site) -> None:
    """Such as by a registration elsewhere, with the old key, at the last moment."""
    all_but_dropped(site)
    late = site.folder / "late.key"
    late.write_bytes(site.first)
    late.chmod(0o600)
    site.register("late", Vault(late))
    with pytest.raises(CallerError, match="late"):
        drop_key(site.key, site.store, Vault(site.key))
    assert old_file(site.key).exists()
    assert rotate(site.key, site.store).number == 1


def test_a_credential_that_no_key_opens_is_named_and_holds_the_old_key_only(site: Site) -> None:
    other = open_vault(site.folder / "other.key")
    site.register("lost", other)
    with pytest.raises(CallerError, match="lost") as refused:
        rotate(site.key, site.store)
    assert "--replace" in refused.value.hint
    assert site.can_read(Vault(site.key))
    site.store.clusters.remove("lost")
    rotate(site.key, site.store)
    assert site.files == {"seal.key"}


def test_a_registration_meanwhile_wins(site: Site) -> None:
    before = site.sealed("c-0")
    anew = site.vault.seal("c-0", Login("https://elsewhere", ""))
    site.store.clusters.replace(site.store.clusters.get("c-0"), anew)
    assert not site.store.clusters.reseal("c-0", before, b"older")
    assert site.sealed("c-0") == anew


def test_steps_in_another_order_are_refused(site: Site, tmp_path: Path) -> None:
    with pytest.raises(CallerError, match="no key"):
        promote_key(site.key)
    with pytest.raises(CallerError, match="there is no key file"):
        add_key(tmp_path / "nowhere.key")
    added(site)
    with pytest.raises(CallerError, match="does not seal yet"):
        drop_key(site.key, site.store, Vault(site.key))
    coming = next_file(site.key).read_bytes()
    added(site)
    assert next_file(site.key).read_bytes() == coming, "it may have been copied to others already"
    promote_key(site.key)
    with pytest.raises(CallerError, match="not ended"):
        add_key(site.key)
    next_file(site.key).write_bytes(bytes(32))
    next_file(site.key).chmod(0o600)
    with pytest.raises(CallerError, match="rotation before"):
        promote_key(site.key)


def test_a_key_to_come_that_is_none_is_not_taken(site: Site) -> None:
    next_file(site.key).write_bytes(b"short")
    next_file(site.key).chmod(0o600)
    with pytest.raises(ConfigurationError):
        rotate(site.key, site.store)
    next_file(site.key).write_bytes(bytes(32))
    next_file(site.key).chmod(0o644)
    with pytest.raises(HostError, match="read by others"):
        rotate(site.key, site.store)
    assert site.key.read_bytes() == site.first
    assert site.can_read(site.vault)


def test_what_an_earlier_release_sealed_is_read_and_the_other_way_round(site: Site) -> None:
    """Nothing that an earlier release does not know is written where it says nothing."""
    opened = site.vault._ciphers[0].decrypt(site.sealed("c-0")[1:13], site.sealed("c-0")[13:], b"c-0")
    assert b"server_name" not in opened


def run(site: Site, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["rotate-seal-key", "--state-folder", str(site.folder), *words])
    return done.exit_code, done.output if done.exception is None else str(done.exception)


def test_the_command_does_all_steps_or_one(site: Site) -> None:
    assert run(site) == (0, "sealed 7 with the new key; the old key is gone\n")
    second = site.key.read_bytes()
    assert run(site, "--step", "add")[0] == 0
    assert run(site, "--step", "reseal") == (0, "sealed 7 with the new key; now run --step drop\n")
    assert run(site, "--step", "reseal") == (0, "sealed 0 with the new key; now run --step drop\n")
    assert run(site, "--step", "drop")[0] == 0
    assert run(site, "--step", "drop") == (0, "there is no old key\n")
    assert site.key.read_bytes() not in (site.first, second)
    assert site.can_read(site.vault)


def test_the_command_asks_whether_replicas_share_the_file(site: Site) -> None:
    code, output = run(site, "--store", "postgresql://user:secret@127.0.0.1:1/none")
    assert code != 0
    assert "replicas on other machines" in output
    assert base64.b64encode(site.key.read_bytes()).decode() not in output
