"""The directory: finding a person by part of a name, a role, a place; and turning a name into exactly one person."""

import csv
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mcp_servers.desk.models import Person
from mcp_servers.desk.tables import people
from signalbox.errors import NotFound, UserFault

FIELDS = ("user", "name", "email", "role", "department", "site", "phone_ext")
_STOP = frozenset(["the", "a", "an", "of", "in", "at", "for", "who", "is", "our", "from", "and", "de", "la"])


async def search(
    connection: AsyncConnection, tenant: str, query: str, site: str | None, limit: int = 10
) -> list[Person]:
    """People who match most words of the query in name, role, department, site or e-mail; best first."""
    words = [word for word in plain(query).replace(",", " ").split() if word not in _STOP] or plain(query).split()
    ranked: list[tuple[int, int, str, Person]] = []
    for person in await _all(connection, tenant):
        if site and plain(person.site) != plain(site):
            continue
        name = plain(f"{person.name} {person.user} {person.email}")
        post = plain(f"{person.role} {person.department} {person.site}")
        hits = sum(word in name or word in post for word in words)
        whole = sum(word in name.split() or word in post.split() for word in words)
        if hits and hits >= len(words) / 2:
            ranked.append((-hits, -whole, person.name, person))
    ranked.sort(key=lambda item: item[:3])
    return [item[3] for item in ranked if item[0] == ranked[0][0]][:limit]


async def resolve(connection: AsyncConnection, tenant: str, who: str) -> Person:
    """Exactly one person by user, e-mail or name; raises with the candidates when it is not clear who is meant."""
    wanted = plain(who)
    everyone = await _all(connection, tenant)
    for exact in (
        [p for p in everyone if wanted in {plain(p.user), plain(p.email), plain(p.name)}],
        [p for p in everyone if wanted and set(wanted.split()) <= set(plain(p.name).split())],
    ):
        if len(exact) == 1:
            return exact[0]
        if exact:
            names = ", ".join(f"{p.name} ({p.role}, {p.site})" for p in exact[:5])
            raise UserFault(f"{who!r} could be several people.", hint=f"Use the e-mail address. Candidates: {names}.")
    raise NotFound(
        f"There is nobody called {who[:80]!r} in the directory.", hint="Look the person up with find_person."
    )


async def load_directory(engine: AsyncEngine, path: Path, tenant: str = "default") -> int:
    """Replace a tenant's directory by a CSV file; the number of people is returned."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{key: (row.get(key) or "").strip() for key in FIELDS} for row in csv.DictReader(file)]
    except OSError as error:
        raise UserFault(f"The directory {str(path)!r} cannot be read: {error.strerror}.") from error
    if not all(row["user"] and row["name"] for row in rows):
        raise UserFault(
            f"The directory {str(path)!r} has rows without user or name.", hint=f"Columns: {', '.join(FIELDS)}."
        )
    await replace_directory(engine, rows, tenant)
    return len(rows)


async def replace_directory(engine: AsyncEngine, rows: Sequence[Mapping[str, Any]], tenant: str) -> None:
    """Make `rows` the directory of a tenant."""
    async with engine.begin() as connection:
        await connection.execute(people.delete().where(people.c.tenant == tenant))
        if rows:
            await connection.execute(people.insert(), [{**row, "tenant": tenant} for row in rows])


def plain(text: str) -> str:
    """Without case and accents."""
    folded = unicodedata.normalize("NFKD", text.replace("ø", "o"))
    return " ".join("".join(c for c in folded if not unicodedata.combining(c)).casefold().split())


async def _all(connection: AsyncConnection, tenant: str) -> list[Person]:
    columns = [people.c[name] for name in FIELDS]
    found = await connection.execute(sa.select(*columns).where(people.c.tenant == tenant).order_by(people.c.name))
    return [Person(**row._mapping) for row in found]
