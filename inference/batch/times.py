"""Times as databases give them back."""

from datetime import UTC, datetime


def utc(at: datetime) -> datetime:
    """SQLite forgets the zone; only UTC is written."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
