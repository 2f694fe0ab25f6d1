"""API keys: who holds one is a principal.

A key is `sk-sb-<id>-<secret>` with 256 random bits of secret. Only the SHA-256 of the whole key is kept: a slow
password hash defends guessable secrets, and nobody guesses 256 random bits. The id finds the row, so the secret is
compared once, in constant time.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.tables import api_key
from signalbox.database import answered, reading, writing
from signalbox.errors import NotAuthenticated, NotFound
from signalbox.identity import Principal

_SHAPE = re.compile(r"sk-sb-([0-9a-f]{16})-[A-Za-z0-9_-]{43}")
_CACHE_SIZE = 10_000


class ApiKey(BaseModel):
    """A key without its secret."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    principal: Principal
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class ApiKeys:
    """Makes, lists, revokes and checks keys."""

    def __init__(self, engine: AsyncEngine, *, cache_s: float = 5, lookup_timeout_s: float = 5) -> None:
        self._engine = engine
        self._cache_s = cache_s
        self._lookup_timeout_s = lookup_timeout_s
        self._cache: dict[bytes, tuple[float, ApiKey]] = {}
        self._revoked = 0

    async def create(self, principal: Principal, *, name: str = "", expires_at: datetime | None = None) -> str:
        """A new key for that principal; this is the only time that it can be seen."""
        key_id = secrets.token_hex(8)
        key = f"sk-sb-{key_id}-{secrets.token_urlsafe(32)}"
        row = {
            "id": key_id,
            "sha256": _digest(key),
            "name": name,
            "tenant": principal.tenant,
            "user": principal.user,
            "groups": sorted(principal.groups),
            "scopes": sorted(principal.scopes),
            "created_at": datetime.now(UTC),
            "expires_at": expires_at,
        }
        async with writing(self._engine) as connection:
            await connection.execute(sa.insert(api_key), row)
        return key

    async def list(self, *, tenant: str) -> list[ApiKey]:
        """The keys of a tenant, revoked ones too, oldest first."""
        query = sa.select(api_key).where(api_key.c.tenant == tenant).order_by(api_key.c.created_at)
        async with reading(self._engine) as connection:
            return [_key(row) for row in (await connection.execute(query)).mappings().all()]

    async def revoke(self, key_id: str, *, tenant: str) -> None:
        """Refuse this key from now on: at once in this process, within the cache time in others."""
        query = (
            sa.update(api_key)
            .where(api_key.c.id == key_id, api_key.c.tenant == tenant)
            .values(revoked_at=datetime.now(UTC))
        )
        try:
            async with writing(self._engine) as connection:
                found = (await connection.execute(query)).rowcount
        finally:  # of a commit that was interrupted nobody knows whether it happened
            self._revoked += 1
            self._cache = {digest: entry for digest, entry in self._cache.items() if entry[1].id != key_id}
        if not found:
            raise NotFound(f"There is no API key {key_id!r}.")

    async def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """The principal behind `authorization: Bearer …` (lower-case names); raises `NotAuthenticated`."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise NotAuthenticated(
                "You did not provide an API key.", hint="Send it as 'Authorization: Bearer sk-sb-…'."
            )
        return await self.check(key.strip())

    async def check(self, key: str) -> Principal:
        """The principal of a key; raises `NotAuthenticated` when it is unknown, expired or revoked.

        `UpstreamDown` when the database does not say.
        """
        match = _SHAPE.fullmatch(key)
        if match is None:
            raise _refused()
        digest = _digest(key)
        cached = self._cache.get(digest)
        if cached is not None and cached[0] > time.monotonic() and _valid(cached[1]):
            return cached[1].principal
        revoked_before = self._revoked
        row = await answered(self._row(match[1]), self._lookup_timeout_s)
        if row is None or not hmac.compare_digest(row["sha256"], digest):
            raise _refused()
        found = _key(row)
        if not _valid(found):
            self._cache.pop(digest, None)
            raise _refused()
        if len(self._cache) >= _CACHE_SIZE:
            self._cache.clear()
        if revoked_before == self._revoked:  # else it may be this key, read before it was revoked
            self._cache[digest] = (time.monotonic() + self._cache_s, found)
        return found.principal

    async def _row(self, key_id: str) -> sa.RowMapping | None:
        query = sa.select(api_key).where(api_key.c.id == key_id)
        async with reading(self._engine) as connection:
            return (await connection.execute(query)).mappings().first()


def _refused() -> NotAuthenticated:
    return NotAuthenticated("The API key is wrong, expired or revoked.", hint="Ask for a new one.")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _valid(key: ApiKey) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > datetime.now(UTC))


def _key(row: Mapping[str, object] | sa.RowMapping) -> ApiKey:
    values = dict(row)
    for name in ("created_at", "expires_at", "revoked_at"):
        at = values[name]
        if isinstance(at, datetime) and at.tzinfo is None:  # SQLite forgets the zone; we write UTC only
            values[name] = at.replace(tzinfo=UTC)
    principal = {name: values.pop(name) for name in ("user", "tenant", "groups", "scopes")}
    del values["sha256"]
    return ApiKey.model_validate({**values, "principal": principal})
