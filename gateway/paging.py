"""Query parameters that several routes share."""

from typing import Annotated, Any

from fastapi import Query

Limit = Annotated[int, Query(ge=1, le=200)]
"""How many items one page holds."""


def page(found: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """One page of a list as OpenAI's clients read it; `found` holds one more than fits where there is more."""
    data = found[:limit]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": len(found) > limit,
    }
