"""Who may call: roles, the keys issued for them, and until when each key works."""

from collections.abc import Callable
from dataclasses import dataclass

from vpc_cni.lab.cloud.clock import Clock
from vpc_cni.lab.cloud.identifiers import Identifiers
from vpc_cni.lab.cloud.settings import CloudSettings

ADMIN = "admin"
# Expired keys are remembered that long, so that their use is reported as expired and not as unknown.
REMEMBER_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose web identity tokens may assume a role.

    Args:
        issuer: the provider's URL.
        audiences: at least one of them must be in the token's ``aud``.
        subjects: patterns (``*``, ``?``) of which one must match the token's ``sub``.
    """

    issuer: str
    audiences: tuple[str, ...] = ("sts.amazonaws.com",)
    subjects: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    role_id: str
    arn: str
    trust: Trust | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key and what it stands for. ``token`` is empty and ``expires_at`` None for keys that last."""

    access_key_id: str
    secret_key: str
    token: str
    issued_at: float
    expires_at: float | None
    role_name: str
    session_name: str

    def has_expired(self, now: float) -> bool:
        return self.expires_at is not None and now >= self.expires_at


class Identities:
    """Roles and keys of the account.

    Args:
        settings: returns the current settings; ``session_seconds`` bounds the life of every key.
    """

    def __init__(self, settings: Callable[[], CloudSettings], clock: Clock, ids: Identifiers) -> None:
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._roles: dict[str, Role] = {}
        self._keys: dict[str, Credentials] = {}
        self.admin = self._store("AKIA", "", None, ADMIN, ADMIN)

    def create_role(self, name: str, trust: Trust | None = None) -> Role:
        """Add a role, or replace the trust of an existing one."""
        known = self._roles.get(name)
        role_id = known.role_id if known else self._ids.access_key("AROA")
        role = Role(name, role_id, f"arn:aws:iam::{self._settings().account_id}:role/{name}", trust)
        self._roles[name] = role
        return role

    def role(self, name: str) -> Role | None:
        return self._roles.get(name)

    def role_by_arn(self, arn: str) -> Role | None:
        return next((role for role in self._roles.values() if role.arn == arn), None)

    def issue(self, role_name: str, session_name: str, seconds: float) -> Credentials:
        """Return new session keys of a role, valid for ``seconds`` or the settings' bound, whichever is less."""
        bound = self._settings().session_seconds
        lasts = seconds if bound is None else min(seconds, bound)
        return self._store("ASIA", self._ids.secret(200), lasts, role_name, session_name)

    def find(self, access_key_id: str) -> Credentials | None:
        return self._keys.get(access_key_id)

    def revoke(self, access_key_id: str) -> None:
        """Forget a key: its use is refused as unknown."""
        self._keys.pop(access_key_id, None)

    def arn_of(self, credentials: Credentials) -> str:
        """Return the caller's ARN as GetCallerIdentity and denials show it."""
        account_id = self._settings().account_id
        if not credentials.token:
            return f"arn:aws:iam::{account_id}:user/{credentials.role_name}"
        return f"arn:aws:sts::{account_id}:assumed-role/{credentials.role_name}/{credentials.session_name}"

    def user_id_of(self, credentials: Credentials) -> str:
        role = self._roles.get(credentials.role_name)
        if not credentials.token or role is None:
            return "AIDA" + credentials.access_key_id[4:]
        return f"{role.role_id}:{credentials.session_name}"

    def _store(self, prefix: str, token: str, seconds: float | None, role_name: str, session_name: str) -> Credentials:
        now = self._clock()
        credentials = Credentials(
            access_key_id=self._ids.access_key(prefix),
            secret_key=self._ids.secret(),
            token=token,
            issued_at=now,
            expires_at=None if seconds is None else now + seconds,
            role_name=role_name,
            session_name=session_name,
        )
        self._keys = {k: v for k, v in self._keys.items() if not v.has_expired(now - REMEMBER_SECONDS)}
        self._keys[credentials.access_key_id] = credentials
        return credentials
