"""The tables as data. What they look like in a database of an earlier release: ``revisions``.

Times are seconds since the epoch. Lists and maps of the API are JSON in one column: nothing is looked up by them.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

METADATA = MetaData()
# The newest of ``revisions``, which leads to these tables.
REVISION = "0003"


def _of_cluster(name: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["cluster"], ["clusters.name"], name=name, ondelete="CASCADE")


CLUSTERS = Table(
    "clusters",
    METADATA,
    Column("name", String(100), primary_key=True),
    Column("uid", String(64), nullable=False),
    Column("version", String(16), nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("certificate_authority", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("platform_version", String(32), nullable=False),
    Column("role_arn", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("issuer", Text, nullable=False),
    Column("network", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    # 0 while it can be reached.
    Column("unreachable_since", Double, nullable=False, server_default="0"),
)

# What the service logs in with, sealed: see addons.clusters.
CREDENTIALS = Table(
    "credentials",
    METADATA,
    Column("cluster", String(100), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    _of_cluster("credentials_cluster"),
)

ADDONS = Table(
    "addons",
    METADATA,
    Column("cluster", String(100), nullable=False),
    Column("name", String(100), nullable=False),
    Column("uid", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("modified_at", Double, nullable=False),
    Column("role_arn", Text),
    Column("configuration_values", Text),
    Column("issues", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    # When its health is due to be looked at; matters only in states that are watched.
    Column("look_at", Double, nullable=False, server_default="0"),
    # When it was first seen unhealthy while ACTIVE; void when the add-on was changed after that. 0 while it is healthy.
    Column("unhealthy_since", Double, nullable=False, server_default="0"),
    PrimaryKeyConstraint("cluster", "name"),
    _of_cluster("addons_cluster"),
    Index("addons_by_look", "look_at"),
)

UPDATES = Table(
    "updates",
    METADATA,
    Column("id", String(64), nullable=False),
    Column("cluster", String(100), nullable=False),
    Column("addon", String(100)),
    Column("type", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("params", JSON, nullable=False),
    Column("errors", JSON, nullable=False),
    PrimaryKeyConstraint("cluster", "id"),
    _of_cluster("updates_cluster"),
    Index("updates_by_time", "cluster", "addon", "created_at"),
)

ASSOCIATIONS = Table(
    "associations",
    METADATA,
    Column("id", String(64), nullable=False),
    Column("cluster", String(100), nullable=False),
    Column("namespace", String(63), nullable=False),
    Column("service_account", String(253), nullable=False),
    Column("role_arn", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("modified_at", Double, nullable=False),
    Column("owner", Text, nullable=False),
    Column("addon", String(100), nullable=False),
    Column("tags", JSON, nullable=False),
    PrimaryKeyConstraint("cluster", "id"),
    _of_cluster("associations_cluster"),
    Index("associations_by_account", "cluster", "namespace", "service_account", unique=True),
)

PROFILES = Table(
    "fargate_profiles",
    METADATA,
    Column("name", String(100), nullable=False),
    Column("cluster", String(100), nullable=False),
    Column("uid", String(64), nullable=False),
    Column("pod_execution_role_arn", Text, nullable=False),
    Column("subnets", JSON, nullable=False),
    Column("selectors", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("tags", JSON, nullable=False),
    PrimaryKeyConstraint("cluster", "name"),
    _of_cluster("profiles_cluster"),
)

# Answers of requests by their client's token, so that the same request gets the same answer.
TOKENS = Table(
    "tokens",
    METADATA,
    Column("operation", String(64), nullable=False),
    Column("token", String(255), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("answer", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    PrimaryKeyConstraint("operation", "token"),
    Index("tokens_by_time", "created_at"),
)

# Work to do. ``previous`` is what the add-on's record said before: it comes back when the work is refused. Void, JSON's
# null, from the first write to the cluster on.
# A lease is held while ``lease_until`` is in the future; ``lease_number`` grows with each, and fences late writers off.
OPERATIONS = Table(
    "operations",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("cluster", String(100), nullable=False),
    Column("addon", String(100), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("version", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("previous_version", String(64), nullable=False),
    Column("role_arn", Text),
    Column("configuration_values", Text),
    Column("mode", String(16), nullable=False),
    Column("update_id", String(64), nullable=False),
    Column("preserve", Boolean, nullable=False),
    Column("deadline", Double, nullable=False),
    Column("previous", JSON),
    Column("due_at", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_holder", String(64), nullable=False),
    Column("lease_number", Integer, nullable=False),
    Column("lease_until", Double, nullable=False),
    _of_cluster("operations_cluster"),
    Index("operations_by_addon", "cluster", "addon", unique=True),
    Index("operations_by_time", "due_at"),
)
