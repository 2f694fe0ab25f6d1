"""The desk's tables, named so that they can share a database. Every row belongs to a tenant."""

import sqlalchemy as sa

metadata = sa.MetaData()

tickets = sa.Table(
    "desk_tickets",
    metadata,
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("title", sa.String, nullable=False),
    sa.Column("description", sa.String, nullable=False),
    sa.Column("category", sa.String, nullable=False),
    sa.Column("priority", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("requester", sa.String, nullable=False),
    sa.Column("assignee", sa.String),
    sa.Column("site", sa.String),
    sa.Column("resolution", sa.String),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("updated_at", sa.String, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, default=1),
)
comments = sa.Table(
    "desk_comments",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("author", sa.String, nullable=False),
    sa.Column("body", sa.String, nullable=False),
    sa.Column("internal", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Index("desk_comments_of_ticket", "tenant", "number"),
)
people = sa.Table(
    "desk_people",
    metadata,
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("user", sa.String, primary_key=True),
    *(
        sa.Column(name, sa.String, nullable=False)
        for name in ("name", "email", "role", "department", "site", "phone_ext")
    ),
)
messages = sa.Table(
    "desk_messages",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("sender", sa.String, nullable=False),
    sa.Column("reply_to", sa.String, nullable=False),
    sa.Column("to", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("body", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False, index=True),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("claimed_at", sa.String),
    sa.Column("receipt_id", sa.String, nullable=False),
)
effects = sa.Table(
    "desk_effects",
    metadata,
    sa.Column("receipt_id", sa.String, primary_key=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("user", sa.String, nullable=False),
    sa.Column("idempotency_key", sa.String),
    sa.Column("tool", sa.String, nullable=False),
    sa.Column("fingerprint", sa.String, nullable=False),
    sa.Column("receipt", sa.String, nullable=False),
    sa.Column("inverse", sa.String),
    sa.Column("undone_by", sa.String),
    sa.Column("created_at", sa.String, nullable=False),
    sa.UniqueConstraint("tenant", "user", "idempotency_key", name="desk_one_effect_per_key"),
)
counters = sa.Table(
    "desk_counters",
    metadata,
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("last_ticket", sa.Integer, nullable=False),
)
