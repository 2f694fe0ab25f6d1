"""Fills the demo's ticket desk: the directory and about sixty tickets that tell the same story as the documents."""

import asyncio
import random
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from demo._desk_stories import STORIES
from demo._facts import TODAY
from demo._house import people
from mcp_servers.desk.desk import Desk
from mcp_servers.desk.people import FIELDS, replace_directory
from mcp_servers.desk.settings import DeskSettings
from mcp_servers.desk.tables import comments, counters, effects, messages, tickets
from mcp_servers.desk.tickets import FIRST_NUMBER

TEAMS: dict[str, frozenset[str]] = {
    "logistics": frozenset({"operations"}),
    "quality": frozenset({"operations"}),
    "people": frozenset({"people"}),
    "finance": frozenset({"finance"}),
}
"""Which groups of the demo work on which tickets, besides the group `desk`; pass it as `DeskSettings.teams`."""

USERS = {"Ada Verhulst": "ada", "Bruno Esteves": "bruno", "Clara Whitfield": "clara"}


def directory(seed: int = 7, today: date = TODAY) -> list[dict[str, str]]:
    """Everybody who works here, as the desk's directory has them."""
    made = []
    for person in people(random.Random(f"{seed}/people"), today):  # noqa: S311, the very rows of the operations database
        if person["left_on"] is None:
            user = USERS.get(person["name"], person["email"].partition("@")[0])
            made.append({name: str(person.get(name, "")) for name in FIELDS} | {"user": user})
    return made


def stories(seed: int = 7, today: date = TODAY) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The tickets and their comments as rows."""
    dice = random.Random(f"{seed}/desk")  # noqa: S311
    made: list[dict[str, Any]] = []
    remarks: list[dict[str, Any]] = []
    for story in sorted(STORIES, key=lambda s: -s[0]):
        days_ago, requester, assignee, site, category, priority, status, title, description, resolution, said = story
        number = FIRST_NUMBER + len(made)
        opened = datetime.combine(today - timedelta(days=days_ago), time(dice.randint(7, 16), dice.randint(0, 59)))
        stamp = opened
        for position, (author, text) in enumerate(said):
            stamp += timedelta(hours=dice.randint(1, max(2, min(30, days_ago * 8))))
            internal = text.startswith("(internal) ")
            remarks.append({
                "id": f"C-{number}-{position}", "tenant": "default", "number": number, "author": author,
                "body": text.removeprefix("(internal) "), "internal": internal, "created_at": f"{stamp:%Y-%m-%dT%H:%M:%SZ}",
            })
        made.append({
            "tenant": "default", "number": number, "title": title, "description": description, "category": category,
            "priority": priority, "status": status, "requester": requester, "assignee": assignee, "site": site,
            "resolution": resolution, "created_at": f"{opened:%Y-%m-%dT%H:%M:%SZ}", "updated_at": f"{stamp:%Y-%m-%dT%H:%M:%SZ}",
            "version": 1 + len(said),
        })
    return made, remarks


async def seed_desk(url: str, *, seed: int = 7, today: date = TODAY) -> dict[str, int]:
    """Replace what is in the desk at `url` by the demo's people and tickets; how many of each is returned."""
    desk = Desk(DeskSettings(url=url))  # type: ignore[arg-type]
    try:
        await desk.open()
        made, remarks = stories(seed, today)
        staff = directory(seed, today)
        await replace_directory(desk.engine, staff, "default")
        async with desk.engine.begin() as connection:
            for table in (tickets, comments, counters, effects, messages):
                await connection.execute(table.delete())
            await connection.execute(tickets.insert(), made)
            await connection.execute(comments.insert(), remarks)
            await connection.execute(counters.insert().values(tenant="default", last_ticket=made[-1]["number"]))
    finally:
        await desk.close()
    return {"people": len(staff), "tickets": len(made), "comments": len(remarks)}


def build_desk(path: Path, *, seed: int = 7, today: date = TODAY) -> dict[str, int]:
    """`seed_desk` for a SQLite file, from code that is not asynchronous."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return asyncio.run(seed_desk(f"sqlite+aiosqlite:///{path}", seed=seed, today=today))
