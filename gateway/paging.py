"""Query parameters that several routes share."""

from typing import Annotated

from fastapi import Query

Limit = Annotated[int, Query(ge=1, le=200)]
"""How many items one page holds."""
