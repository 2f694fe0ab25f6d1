"""The tables of this package: files in parts, batches, and a row for each line of a batch."""

import sqlalchemy as sa

metadata = sa.MetaData()

batch_file = sa.Table(
    "batch_file",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("user", sa.String(200), nullable=False),
    sa.Column("filename", sa.String(255), nullable=False),
    sa.Column("purpose", sa.String(32), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("ix_batch_file_owner", "tenant", "user", "created_at", "id"),
    sa.Index("ix_batch_file_expires", "expires_at"),
)

batch_file_part = sa.Table(
    "batch_file_part",
    metadata,
    sa.Column("file_id", sa.String(64), sa.ForeignKey("batch_file.id", ondelete="CASCADE"), primary_key=True),
    # Of an upload: the number of the part. Of results: the position of the line, so that their order is the input's.
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

batch = sa.Table(
    "batch",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("user", sa.String(200), nullable=False),
    sa.Column("groups", sa.JSON, nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("request", sa.Text, nullable=False),  # JSON of inference.batch.contracts.BatchRequest
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
    sa.Index("ix_batch_owner", "tenant", "user", "created_at", "id"),
    sa.Index("ix_batch_state", "state"),
)

batch_line = sa.Table(
    "batch_line",
    metadata,
    sa.Column("batch_id", sa.String(64), sa.ForeignKey("batch.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("custom_id", sa.String(256), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # emptied when the line is finished
    sa.Column("finished", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ux_batch_line_custom_id", "batch_id", "custom_id", unique=True),
    sa.Index("ix_batch_line_open", "batch_id", "finished", "position"),
)
