"""API keys: hashed, bound to a principal, revocable at once."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only

from gateway.keys import ApiKeys
from gateway.keys_file import ensure_keys, write_keys_file
from signalbox.database import open_engine
from signalbox.errors import NotAuthenticated, NotFound, UpstreamDown
from tests.cable import Cable
from tests.gateway.conftest import ADA, BRUNO, ROOT
from tests.postgres import Postgres
from tests.runs.database import discard, fresh_postgres


@pytest.fixture
def keys(engine: AsyncEngine) -> ApiKeys:
    return ApiKeys(engine)


async def test_a_key_is_its_principal(keys: ApiKeys):
    key = await keys.create(ADA)
    assert await keys.check(key) == ADA
    assert await keys.authenticate({"authorization": f"bearer {key}"}) == ADA
    assert [found.principal for found in await keys.list(tenant="default")] == [ADA]


async def test_the_secret_is_nowhere_in_the_database(keys: ApiKeys, tmp_path: Path):
    key = await keys.create(ADA)
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert key.split("-", 3)[2].encode() in held
    assert key.split("-", 3)[3].encode() not in held


@pytest.mark.parametrize(
    "spoil", [lambda key: key[:-1], lambda key: key[:-4] + "AAAA", lambda key: key + "\n", lambda _: ""]
)
async def test_an_altered_key_is_refused(keys: ApiKeys, spoil):
    key = await keys.create(ADA)
    await keys.check(key)
    with pytest.raises(NotAuthenticated):
        await keys.check(spoil(key))


async def test_a_revoked_key_is_refused_at_once(keys: ApiKeys):
    key = await keys.create(ADA)
    await keys.check(key)
    await keys.revoke(key.split("-")[2], tenant="default")
    with pytest.raises(NotAuthenticated):
        await keys.check(key)


async def test_a_key_that_was_read_before_it_was_revoked_is_not_remembered(keys: ApiKeys, engine: AsyncEngine):
    key = await keys.create(ADA)
    reads: list[str] = []

    def revoke(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith("SELECT") and not reads:  # the row is here, its reader has not seen it yet
            reads.append(statement)
            await_only(keys.revoke(key.split("-")[2], tenant="default"))

    event.listen(engine.sync_engine, "after_cursor_execute", revoke)
    assert await keys.check(key) == ADA
    with pytest.raises(NotAuthenticated):
        await keys.check(key)


async def test_a_database_that_is_cut_off_holds_nobody_up(postgres_server: Postgres):
    engine = await fresh_postgres(postgres_server)
    address = engine.url
    async with Cable().to("127.0.0.1", address.port or 0) as cable:
        through = open_engine(address.set(port=cable.port).render_as_string(hide_password=False))
        keys = ApiKeys(through, cache_s=0, lookup_timeout_s=1.5)
        key = await keys.create(ADA)
        assert await keys.check(key) == ADA
        cable.cut()
        with pytest.raises(UpstreamDown, match="The database did not answer"):
            await keys.check(key)
    await through.dispose()
    await discard(postgres_server, engine)


async def test_a_key_of_another_tenant_cannot_be_revoked(keys: ApiKeys):
    key = await keys.create(ADA)
    with pytest.raises(NotFound):
        await keys.revoke(key.split("-")[2], tenant="other")
    assert await keys.check(key) == ADA


async def test_an_expired_key_is_refused(keys: ApiKeys):
    soon = datetime.now(UTC) + timedelta(hours=1)
    assert await keys.check(await keys.create(ADA, expires_at=soon)) == ADA
    with pytest.raises(NotAuthenticated):
        await keys.check(await keys.create(ADA, expires_at=datetime.now(UTC) - timedelta(seconds=1)))


async def test_the_keys_file_is_for_its_owner_alone_and_kept_across_starts(keys: ApiKeys, tmp_path: Path):
    path = tmp_path / "var" / "keys.json"
    first = await ensure_keys(keys, path, [ADA, BRUNO])
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == first
    path.chmod(0o644)
    assert await ensure_keys(keys, path, [ADA, BRUNO]) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert await keys.check(first["ada"]) == ADA


async def test_a_person_with_new_groups_gets_a_new_key_and_the_old_one_ends(keys: ApiKeys, tmp_path: Path):
    path = tmp_path / "keys.json"
    old = await ensure_keys(keys, path, [ADA, ROOT])
    promoted = ADA.model_copy(update={"groups": ADA.groups | {"managers"}})
    new = await ensure_keys(keys, path, [promoted, ROOT])
    assert new["root"] == old["root"]
    assert await keys.check(new["ada"]) == promoted
    with pytest.raises(NotAuthenticated):
        await keys.check(old["ada"])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ada": 1}', '{"ada": "sk-sb-old"}'])
async def test_a_damaged_keys_file_is_replaced(keys: ApiKeys, tmp_path: Path, content):
    path = tmp_path / "keys.json"
    path.write_text(content)
    found = await ensure_keys(keys, path, [ADA])
    assert json.loads(path.read_text()) == found
    assert await keys.check(found["ada"]) == ADA


def test_writing_leaves_no_other_file(tmp_path: Path):
    write_keys_file(tmp_path / "keys.json", {"ada": "k"})
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]
