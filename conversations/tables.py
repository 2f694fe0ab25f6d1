"""The tables of this package: a row for each conversation and one for each message."""

import sqlalchemy as sa

metadata = sa.MetaData()

conversation = sa.Table(
    "conversation",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("user", sa.String(200), nullable=False),
    sa.Column("external_id", sa.String(200)),
    sa.Column("title", sa.String(200), nullable=False, server_default=""),
    sa.Column("summary", sa.Text, nullable=False, server_default=""),
    sa.Column("summary_upto", sa.BigInteger, nullable=False, server_default="0"),  # id of the last message in it
    sa.Column("summary_tainted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("ix_conversation_owner", "tenant", "user", "updated_at", "id"),
    sa.Index("ux_conversation_external", "tenant", "user", "external_id", unique=True),
)

message = sa.Table(
    "message",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("conversation_id", sa.String(64), sa.ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False, server_default=""),  # of an approval's outcome the approval's id
    sa.Column("result", sa.Text),  # JSON of runs.events.RunResult
    sa.Index("ix_message_conversation", "tenant", "conversation_id", "id"),
)
