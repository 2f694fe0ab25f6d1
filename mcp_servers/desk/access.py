"""Who may see and do what with a ticket."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mcp_servers.desk.settings import DESK_GROUP
from mcp_servers.desk.tables import tickets
from signalbox.errors import NotAllowed
from signalbox.identity import Principal


class Access:
    """The requester and the assignee see a ticket, and so does the team of its category."""

    def __init__(self, teams: Mapping[str, frozenset[str]]) -> None:
        self._teams = teams

    def works_on(self, principal: Principal, category: str) -> bool:
        """Whether the asker is in the team of a category."""
        return DESK_GROUP in principal.groups or bool(self._teams.get(category, frozenset()) & principal.groups)

    def visible(self, principal: Principal) -> sa.ColumnElement[bool]:
        """The condition under which a ticket exists for the asker."""
        mine = sa.or_(tickets.c.requester == principal.user, tickets.c.assignee == principal.user)
        categories = [category for category in self._teams if self.works_on(principal, category)]
        everything = sa.true() if DESK_GROUP in principal.groups else tickets.c.category.in_(categories)
        return sa.and_(tickets.c.tenant == principal.tenant, sa.or_(mine, everything))

    def is_staff_of(self, principal: Principal, ticket: Mapping[str, Any]) -> bool:
        """Whether the asker works on this ticket: its team, or its assignee."""
        return ticket["assignee"] == principal.user or self.works_on(principal, ticket["category"])

    def require_staff(self, principal: Principal, ticket: Mapping[str, Any], what: str) -> None:
        """Raises `NotAllowed` unless the asker works on the ticket."""
        if not self.is_staff_of(principal, ticket):
            raise NotAllowed(
                f"{what} ticket T-{ticket['number']} is for those who work on {ticket['category']!r} tickets.",
                hint="Add a comment that asks for it instead.",
            )
