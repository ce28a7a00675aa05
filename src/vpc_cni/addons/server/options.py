"""What an operator chooses when starting the service."""

from dataclasses import dataclass, field
from pathlib import Path

from vpc_cni.addons.images import ImageSource
from vpc_cni.addons.model import Owner
from vpc_cni.addons.store import KEPT_UPDATES, sqlite_url
from vpc_cni.addons.work import WorkSettings
from vpc_cni.errors import ConfigurationError
from vpc_cni.manifests import Catalogue

STORE_FILE, SEAL_KEY_FILE, ACCESS_KEYS_FILE = "store.db", "seal.key", "access-keys.json"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 lets the kernel choose."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """All of it.

    Attributes:
        store_url: empty for SQLite in the state folder; may hold a password.
        seal_key, access_keys: files that all replicas on one store must share; None for those in the state folder.
        certificate, certificate_key: PEM files of TLS; None for plain HTTP.
        keep_updates: how many finished updates of each add-on are remembered.
        crash_at: a step of the workers at which to die, for tests.
    """

    listen: Address
    local: Address
    state_folder: Path
    owner: Owner
    catalogue: Catalogue
    images: ImageSource
    store_url: str = field(default="", repr=False)
    seal_key: Path | None = None
    access_keys: Path | None = None
    certificate: Path | None = None
    certificate_key: Path | None = None
    work: WorkSettings = field(default_factory=WorkSettings)
    strict_minor_step: bool = False
    keep_updates: int = KEPT_UPDATES
    crash_at: str = ""


def parse_address(text: str, option: str) -> Address:
    """Read ``HOST:PORT``; an IPv6 host stands in brackets. Pure.

    Raises:
        ConfigurationError: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(f"{option} {text!r} is no HOST:PORT", hint="such as 127.0.0.1:8443")
    return Address(host.strip("[]"), int(port))


def store_url_of(state_folder: Path, store_url: str) -> str:
    """Return the URL of the store: as given, else of the file in the state folder. Pure."""
    return store_url or sqlite_url(state_folder / STORE_FILE)
