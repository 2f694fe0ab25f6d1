"""What a conversation's earlier messages amount to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    for column in (
        sa.Column("summary", sa.Text, nullable=False, server_default=""),
        sa.Column("summary_upto", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("summary_tainted", sa.Boolean, nullable=False, server_default=sa.false()),
    ):
        op.add_column("conversation", column)


def downgrade() -> None:
    """Remove them."""
    for name in ("summary", "summary_upto", "summary_tainted"):
        op.drop_column("conversation", name)
