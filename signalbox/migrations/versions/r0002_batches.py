"""Files, batches and their lines."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _files()
    _batches()
    _lines()


def downgrade() -> None:
    """Remove them."""
    for table in ("batch_line", "batch", "batch_file_part", "batch_file"):
        op.drop_table(table)


def _files() -> None:
    op.create_table(
        "batch_file",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("user", sa.String(200), nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_batch_file_owner", "batch_file", ["tenant", "user", "created_at", "id"])
    op.create_index("ix_batch_file_expires", "batch_file", ["expires_at"])
    op.create_table(
        "batch_file_part",
        sa.Column("file_id", sa.String(64), sa.ForeignKey("batch_file.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )


def _batches() -> None:
    op.create_table(
        "batch",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("user", sa.String(200), nullable=False),
        sa.Column("groups", sa.JSON, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("output_file_id", sa.String(64)),
        sa.Column("error_file_id", sa.String(64)),
        sa.Column("faults", sa.JSON, nullable=False),
        sa.Column("times", sa.JSON, nullable=False),
        sa.Column("total", sa.Integer, nullable=False, server_default="0"),
        sa.Column("completed", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failed", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False, server_default=""),
        sa.Column("held_until", sa.DateTime(timezone=True)),
    )
    op.create_index("ix_batch_owner", "batch", ["tenant", "user", "created_at", "id"])
    op.create_index("ix_batch_state", "batch", ["state"])


def _lines() -> None:
    op.create_table(
        "batch_line",
        sa.Column("batch_id", sa.String(64), sa.ForeignKey("batch.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("custom_id", sa.String(256), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("finished", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_index("ux_batch_line_custom_id", "batch_line", ["batch_id", "custom_id"], unique=True)
    op.create_index("ix_batch_line_open", "batch_line", ["batch_id", "finished", "position"])
