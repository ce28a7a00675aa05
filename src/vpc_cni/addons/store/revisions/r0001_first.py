"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_clusters()
    _create_addons()
    _create_neighbours()
    _create_work()


def _of_cluster(name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["cluster"], ["clusters.name"], name=name, ondelete="CASCADE")


def _create_clusters() -> None:
    op.create_table(
        "clusters",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("uid", sa.String(64), nullable=False),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("certificate_authority", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("platform_version", sa.String(32), nullable=False),
        sa.Column("role_arn", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("network", sa.JSON, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
    )
    op.create_table(
        "credentials",
        sa.Column("cluster", sa.String(100), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        _of_cluster("credentials_cluster"),
    )


def _create_addons() -> None:
    op.create_table(
        "addons",
        sa.Column("cluster", sa.String(100), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("uid", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("modified_at", sa.Double, nullable=False),
        sa.Column("role_arn", sa.Text),
        sa.Column("configuration_values", sa.Text),
        sa.Column("issues", sa.JSON, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("cluster", "name"),
        _of_cluster("addons_cluster"),
    )
    op.create_table(
        "updates",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("cluster", sa.String(100), nullable=False),
        sa.Column("addon", sa.String(100)),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("params", sa.JSON, nullable=False),
        sa.Column("errors", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("cluster", "id"),
        _of_cluster("updates_cluster"),
    )
    op.create_index("updates_by_time", "updates", ["cluster", "addon", "created_at"])


def _create_neighbours() -> None:
    op.create_table(
        "associations",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("cluster", sa.String(100), nullable=False),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("service_account", sa.String(253), nullable=False),
        sa.Column("role_arn", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("modified_at", sa.Double, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("addon", sa.String(100), nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("cluster", "id"),
        _of_cluster("associations_cluster"),
    )
    accounts = ["cluster", "namespace", "service_account"]
    op.create_index("associations_by_account", "associations", accounts, unique=True)
    op.create_table(
        "fargate_profiles",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("cluster", sa.String(100), nullable=False),
        sa.Column("uid", sa.String(64), nullable=False),
        sa.Column("pod_execution_role_arn", sa.Text, nullable=False),
        sa.Column("subnets", sa.JSON, nullable=False),
        sa.Column("selectors", sa.JSON, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("cluster", "name"),
        _of_cluster("profiles_cluster"),
    )


def _create_work() -> None:
    op.create_table(
        "tokens",
        sa.Column("operation", sa.String(64), nullable=False),
        sa.Column("token", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("operation", "token"),
    )
    op.create_index("tokens_by_time", "tokens", ["created_at"])
    op.create_table(
        "operations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("cluster", sa.String(100), nullable=False),
        sa.Column("addon", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("previous_version", sa.String(64), nullable=False),
        sa.Column("role_arn", sa.Text),
        sa.Column("configuration_values", sa.Text),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("update_id", sa.String(64), nullable=False),
        sa.Column("preserve", sa.Boolean, nullable=False),
        sa.Column("deadline", sa.Double, nullable=False),
        sa.Column("previous", sa.JSON),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease_holder", sa.String(64), nullable=False),
        sa.Column("lease_number", sa.Integer, nullable=False),
        sa.Column("lease_until", sa.Double, nullable=False),
        _of_cluster("operations_cluster"),
    )
    op.create_index("operations_by_addon", "operations", ["cluster", "addon"], unique=True)
    op.create_index("operations_by_time", "operations", ["due_at"])
