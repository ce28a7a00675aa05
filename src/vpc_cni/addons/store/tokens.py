"""Idempotency tokens: the same request gets the same answer, for a day."""

from dataclasses import dataclass

import sqlalchemy as sa

from vpc_cni.addons.store.database import Database
from vpc_cni.addons.store.refusals import NoClusterError, TokenReusedError
from vpc_cni.addons.store.tables import TOKENS

KEPT_SECONDS = 24 * 3600.0
# Each write sweeps a few of those that are over, so that no task of its own is needed.
_SWEPT = 10


@dataclass(frozen=True, slots=True)
class Token:
    """What a client sent with a request that must not be done twice.

    Attributes:
        operation: of the API, such as ``CreateAddon``; the same token may serve another.
        digest: of all parameters, made by the caller; up to 64 characters.
        answer: the text to answer with when the request is accepted now.
    """

    operation: str
    token: str
    digest: str
    answer: str


def admit(database: Database, connection: sa.Connection, cluster: str, token: Token | None) -> str | None:
    """Begin to write what belongs to a cluster: keep others off it; return the answer if this request came before.

    Its token is remembered before anything is checked: a refusal takes that back with the rest of the transaction.

    Raises:
        NoClusterError: there is no such cluster.
        TokenReusedError: the token came with other parameters.
    """
    known = database.lock_cluster(connection, cluster)
    if token is not None:
        # The same token may come for another cluster, or for one that is none, at this moment.
        database.lock_token(connection, token.operation, token.token)
        now = database.now(connection)
        earlier = recall(connection, token.operation, token.token, token.digest, now)
        if earlier is not None:
            return earlier
        remember(connection, token, now)
    if not known:
        raise NoClusterError(cluster)
    return None


def recall(connection: sa.Connection, operation: str, token: str, digest: str, now: float) -> str | None:
    """Return the answer that this request got before; None when it is new.

    Raises:
        TokenReusedError: the token came with other parameters.
    """
    query = sa.select(TOKENS.c.digest, TOKENS.c.answer).where(
        TOKENS.c.operation == operation, TOKENS.c.token == token, TOKENS.c.created_at > now - KEPT_SECONDS
    )
    found = connection.execute(query).first()
    if found is None:
        return None
    if found.digest != digest:
        raise TokenReusedError(operation, token)
    return str(found.answer)


def remember(connection: sa.Connection, token: Token, now: float) -> None:
    """Keep an answer in the transaction that makes it true."""
    old = sa.select(TOKENS.c.operation, TOKENS.c.token).where(TOKENS.c.created_at <= now - KEPT_SECONDS)
    # Those that another request is sweeping are left to it: nobody waits for the oldest tokens of all clusters.
    old = old.order_by(TOKENS.c.created_at).limit(_SWEPT).with_for_update(skip_locked=True)
    for row in connection.execute(old).all():
        connection.execute(sa.delete(TOKENS).where(TOKENS.c.operation == row.operation, TOKENS.c.token == row.token))
    # One that is over but was not swept yet.
    connection.execute(sa.delete(TOKENS).where(TOKENS.c.operation == token.operation, TOKENS.c.token == token.token))
    connection.execute(
        sa.insert(TOKENS).values(
            operation=token.operation, token=token.token, digest=token.digest, answer=token.answer, created_at=now
        )
    )
