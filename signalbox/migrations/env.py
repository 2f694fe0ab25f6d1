"""Alembic's entry point: runs on the connection that `migrate` hands over, inside its transaction."""

from alembic import context

import conversations.tables
import gateway.tables
import inference.batch.tables
import runs.tables

TARGETS = [
    conversations.tables.metadata,
    runs.tables.metadata,
    gateway.tables.metadata,
    inference.batch.tables.metadata,
]

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=TARGETS,
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
