"""Clusters remember since when they are unreachable, add-ons when to look at their health again."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("clusters", sa.Column("unreachable_since", sa.Double, nullable=False, server_default="0"))
    op.add_column("addons", sa.Column("look_at", sa.Double, nullable=False, server_default="0"))
    op.create_index("addons_by_look", "addons", ["look_at"])
