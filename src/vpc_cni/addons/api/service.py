"""What the handlers of the API work with, and what one call is."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from vpc_cni.addons.api.members import Members, Query
from vpc_cni.addons.images import ImageSource
from vpc_cni.addons.model import Owner
from vpc_cni.addons.rules import InputError
from vpc_cni.addons.store import Store, Token
from vpc_cni.errors import ConfigurationError
from vpc_cni.manifests import Addon, Catalogue

Json: TypeAlias = dict[str, Any]
# How long a client's token may be: what the store has room for.
_TOKEN_MAX = 255


@dataclass(frozen=True)
class Service:
    """The add-on service as its API sees it.

    Attributes:
        secret_of: returns the secret key of an access key id; None when there is no such key.
        clock: seconds since the epoch.
        random: returns that many random bytes, for ids.
        strict_minor_step: refuse updates over more than one minor version, as EKS did until 2023.
    """

    store: Store
    owner: Owner
    catalogue: Catalogue
    images: ImageSource
    secret_of: Callable[[str], str | None]
    clock: Callable[[], float] = time.time
    random: Callable[[int], bytes] = os.urandom
    strict_minor_step: bool = False

    def __post_init__(self) -> None:
        """Find out now what would else fail at some request.

        Raises:
            ConfigurationError: the catalogue offers no add-on, or there is no registry for its images.
            CallerError: the owner's region is none, or an image is pinned that some version does not have.
        """
        if self.catalogue.addon is None:
            raise ConfigurationError(
                f"the catalogue of {self.catalogue.valid_at} offers no managed versions",
                hint="add [addon] and [[offer]]",
            )
        for profile in self.catalogue.profiles:
            self.images.plan(profile, self.owner.region)

    @property
    def addon(self) -> Addon:
        """The one add-on that is offered."""
        assert self.catalogue.addon is not None  # noqa: S101 - checked when this was made
        return self.catalogue.addon


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one operation, as yet unchecked.

    Attributes:
        labels: from the path, decoded, by the name of the member.
        now: when it was admitted.
    """

    service: Service
    operation: str
    labels: Mapping[str, str]
    query: Query
    body: Members
    now: float

    @property
    def cluster(self) -> str:
        return self.labels["clusterName"]

    @property
    def token_text(self) -> str:
        """What the client sent so that the request is not done twice; empty when nothing.

        Raises:
            InputError: it is too long.
        """
        return self.body.text("clientRequestToken", maximum=_TOKEN_MAX) or ""

    def recall(self) -> Json | None:
        """Return the answer that the same request got before; None when it is new.

        Raises:
            InputError: the token is too long.
            TokenReusedError: it came with other parameters.
        """
        text = self.token_text
        earlier = self.service.store.requests.recall(self.operation, text, self._digest()) if text else None
        return None if earlier is None else _read(earlier)

    def accept(self, answer: Json, write: Callable[[Token | None], str | None]) -> Json:
        """Write what the request leads to; return the answer, or the one that somebody else's same request got.

        Args:
            write: a method of the store, given the token.
        """
        text = self.token_text
        token = Token(self.operation, text, self._digest(), json.dumps(answer)) if text else None
        earlier = write(token)
        return answer if earlier is None else _read(earlier)

    def _digest(self) -> str:
        """Identify the parameters, all but the token; which operation it is, is known besides."""
        parameters = {name: value for name, value in self.body.values.items() if name != "clientRequestToken"}
        text = json.dumps([dict(self.labels), parameters], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _read(answer: str) -> Json:
    found: Json = json.loads(answer)
    return found


def require_absent(members: Members, *names: str) -> None:
    """Refuse members that ask for what is not built here: nothing is silently ignored.

    Raises:
        InputError: one is given, and not false.
    """
    for name in names:
        if members.values.get(name) not in (None, False):
            raise InputError(f"{name} is not supported by this service")
