"""Add-ons remember since when they are unhealthy: replicas share the wait before DEGRADED, and it outlives them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("addons", sa.Column("unhealthy_since", sa.Double, nullable=False, server_default="0"))
