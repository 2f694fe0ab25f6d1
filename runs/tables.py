"""The tables of this package: finished runs with their events, and approvals."""

import sqlalchemy as sa

metadata = sa.MetaData()

run_record = sa.Table(
    "run_record",
    metadata,
    sa.Column("run_id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("user", sa.String(200), nullable=False),
    sa.Column("conversation_id", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("events", sa.LargeBinary, nullable=False),  # zlib of a JSON list, see runs.log
    sa.Index("ix_run_record_owner", "tenant", "user", "finished_at"),
    sa.Index("ix_run_record_conversation", "tenant", "conversation_id"),
    sa.Index("ix_run_record_finished", "finished_at"),
)

approval = sa.Table(
    "approval",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("user", sa.String(200), nullable=False),
    sa.Column("conversation_id", sa.String(64), nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("step_id", sa.String(64), nullable=False),
    sa.Column("tool", sa.String(200), nullable=False),
    sa.Column("pin", sa.String(128), nullable=False),
    sa.Column("arguments", sa.Text, nullable=False),  # canonical JSON: what was hashed is what is stored
    sa.Column("binding", sa.String(64), nullable=False),
    sa.Column("preview", sa.Text, nullable=False),
    sa.Column("chain", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("decided_at", sa.DateTime(timezone=True)),
    sa.Column("decided_by", sa.String(200), nullable=False, server_default=""),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("outcome", sa.Text, nullable=False, server_default=""),
    sa.Index("ix_approval_owner", "tenant", "user", "created_at"),
    sa.Index("ix_approval_state", "state"),
    # One pending approval for one exact call: proposing it again finds this row.
    sa.Index(
        "ux_approval_pending",
        "tenant",
        "binding",
        unique=True,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    ),
)
