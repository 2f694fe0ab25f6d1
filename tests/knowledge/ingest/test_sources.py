"""Connectors against real peers on this machine: mailboxes, databases, MCP sessions; and what runs them on time."""

import asyncio
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import samples
import uvicorn
from keyed_mcp import KEY, keyed_app
from pydantic import SecretStr, ValidationError

from knowledge.contracts import AccessRule
from knowledge.ingest.schedule import IngestSchedule
from knowledge.sources import UploadSource
from knowledge.sources.maildir import MaildirSource
from knowledge.sources.mcp import McpResources
from knowledge.sources.settings import FolderSettings, McpSettings, SqlSettings
from knowledge.sources.sql import SqlSource
from signalbox.errors import ToolFault, UpstreamDown, UserFault

STAFF = AccessRule(allow=frozenset({"group:staff"}))


async def test_uploads_add_up_and_a_second_upload_of_a_name_replaces_the_first(record, pipeline):
    for name, content in (("a.md", b"First words."), ("b.md", b"Other words."), ("a.md", b"Newer words.")):
        await pipeline.run(UploadSource(name, content, access=STAFF))
    assert record.paths() == {"a.md", "b.md"}
    assert record.text_of("a.md") == "Newer words."
    with pytest.raises(UserFault):
        UploadSource("../", b"x", access=STAFF)


async def test_a_maildir_is_read_and_reading_a_message_changes_nothing(tmp_path: Path, record, pipeline):
    for folder in ("cur", "new", "tmp", ".Projects.Porto/cur", ".Projects.Porto/new"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "new" / "1.a.host").write_bytes(samples.mail(attachments={"plan.md": b"# Plan\n\nFinish by May."}))
    (tmp_path / "cur" / "2.b.host:2,ST").write_bytes(samples.mail())
    (tmp_path / ".Projects.Porto" / "cur" / "3.c.host:2,S").write_bytes(samples.mail())
    source = MaildirSource(tmp_path, access=STAFF, name="mail")
    await pipeline.run(source)
    assert record.paths() == {"1.a.host.eml", "1.a.host.eml/plan.md", "Projects/Porto/3.c.host.eml"}
    (tmp_path / "new" / "1.a.host").rename(tmp_path / "cur" / "1.a.host:2,S")
    report = await pipeline.run(source)
    assert (report.unchanged, report.taken, report.moved) == (2, 0, 0)
    with pytest.raises(UserFault, match="not a maildir"):
        await pipeline.run(MaildirSource(tmp_path / "tmp", access=STAFF))


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.db"
    with sqlite3.connect(path) as database:
        database.execute("create table incident (id integer, what text, who text, day text)")
        database.executemany(
            "insert into incident values (?, ?, ?, ?)",
            [
                (1, "The burner failed.", "group:staff", "2026-03-10"),
                (2, "A pallet fell.", "group:people", "2026-04-01"),
            ],
        )
    database.close()
    return path


async def test_rows_become_documents_by_a_template(orders, record, pipeline):
    settings = SqlSettings(
        name="incidents",
        url=SecretStr(f"sqlite:///{orders}"),
        query="select * from incident",
        key="id",
        title="Incident {id}",
        template="{what} It was on {day}. {unknown}",
        modified_column="day",
        access_column="who",
        access=STAFF,
    )
    await pipeline.run(SqlSource(settings))
    assert record.text_of("1.md") == "Incident 1\n\nThe burner failed. It was on 2026-03-10. {unknown}"
    assert (record.document_at("1.md").access, record.document_at("2.md").access) == (STAFF, AccessRule())
    assert str(record.document_at("1.md").modified) == "2026-03-10 00:00:00+00:00"
    with sqlite3.connect(orders) as database:
        database.execute("update incident set what = 'The burner was mended.' where id = 1")
    database.close()
    report = await pipeline.run(SqlSource(settings))
    assert (report.changed, report.unchanged) == (1, 1)


async def test_rows_beyond_max_rows_are_kept_and_the_report_says_that_the_result_was_cut(orders, record, pipeline):
    url = SecretStr(f"sqlite:///{orders}")
    query = "select * from incident order by id"
    settings = SqlSettings(name="incidents", url=url, query=query, key="id", access=STAFF, max_rows=2)
    assert (await pipeline.run(SqlSource(settings))).warnings == ()
    report = await pipeline.run(SqlSource(settings.model_copy(update={"max_rows": 1})))
    assert (report.removed, report.unchanged, record.paths()) == (0, 1, {"1.md", "2.md"})
    assert [warning for warning in report.warnings if "max_rows" in warning]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"query": "delete from incident returning id"}, "readonly|does not answer|failed"),
        ({"query": "select * from nothing"}, "does not answer|failed"),
        ({"key": "number"}, "no column 'number'"),
        ({"url": SecretStr("nodatabase://x")}, "not usable"),
    ],
)
async def test_a_sql_source_reads_only_and_says_what_is_wrong(orders, pipeline, changes, expected):
    url = SecretStr(f"sqlite:///{orders}")
    settings = SqlSettings(name="incidents", url=url, query="select * from incident", key="id", access=STAFF)
    with pytest.raises((UserFault, UpstreamDown), match=expected):
        await pipeline.run(SqlSource(settings.model_copy(update=changes)))
    with sqlite3.connect(orders) as database:
        assert database.execute("select count(*) from incident").fetchone() == (2,)
    database.close()


def sql_settings(url: str, query: str, timeout_s: float = 30) -> SqlSettings:
    return SqlSettings(
        name="incidents", url=SecretStr(url), query=query, key="id", access=STAFF, timeout_s=timeout_s, max_rows=10
    )


async def listed(settings: SqlSettings) -> list[str]:
    return [item.document async for item in SqlSource(settings).items()]


ENDLESS = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) as id from n"


def test_a_query_on_sqlite_that_never_ends_is_ended_with_its_thread(orders):
    async def scenario() -> None:
        url = f"sqlite:///{orders}"
        with pytest.raises(UpstreamDown, match=r"'incidents' took longer than 0\.2 s"):
            await listed(sql_settings(url, ENDLESS, timeout_s=0.2))
        task = asyncio.create_task(listed(sql_settings(url, ENDLESS)))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())  # returns when all its threads have


async def test_a_query_on_postgresql_ends_at_the_server_when_it_is_late_or_nobody_waits(postgres_url):
    url = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    asleep = "select 1 as id, pg_sleep(60)"
    running = "select count(*) as id from pg_stat_activity where wait_event = 'PgSleep'"
    with pytest.raises(UpstreamDown, match=r"'incidents' took longer than 0\.5 s"):
        await listed(sql_settings(url, asleep, timeout_s=0.5))
    assert await listed(sql_settings(url, running)) == ["0.md"]
    task = asyncio.create_task(listed(sql_settings(url, asleep)))
    while await listed(sql_settings(url, running)) != ["1.md"]:
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while await listed(sql_settings(url, running)) != ["0.md"]:
        await asyncio.sleep(0.02)
    with pytest.raises((UserFault, UpstreamDown), match="read-only"):
        await listed(sql_settings(url, "select lo_create(0) as id"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://reader:s3cret",
        "postgresql+psycopg://reader:s3cret/data",
        "postgresql+psycopg://reader:my@s3cret@127.0.0.1/data",
        "postgresql+psycopg://reader:x@127.0.0.1:s3cret/data",
        "reader:s3cret@127.0.0.1",
        "sqlite://reader:s3cret@host/data.db",
        "postgresql+psycopg://reader:s3cret@127.0.0.1:9/data?nothing=1",
    ],
)
async def test_no_message_about_an_address_holds_the_password(url):
    with pytest.raises((UserFault, UpstreamDown)) as fault:
        await listed(sql_settings(url, "select 1 as id"))
    error: BaseException | None = fault.value
    while error is not None:
        assert "s3cret" not in str(error)
        error = None if error.__suppress_context__ and error.__cause__ is None else error.__cause__ or error.__context__


async def test_resources_of_an_mcp_server_are_taken(record, pipeline):
    from mcp.server import MCPServer

    server = MCPServer("wiki")
    pdf = samples.pdf()  # made once: it holds the second in which it was made

    @server.resource("wiki://pages/leave", mime_type="text/markdown")
    def leave() -> str:
        return "# Leave\n\nAsk your manager two weeks ahead."

    @server.resource("wiki://files/guide.pdf", mime_type="application/pdf")
    def guide() -> bytes:
        return pdf

    source = McpResources(McpSettings(name="wiki", url="unused", access=STAFF, exclude=("*/secret",)), lambda: server)
    first = await pipeline.run(source)
    assert record.paths() == {"pages/leave.md", "files/guide.pdf"}
    assert (first.taken, (await pipeline.run(source)).unchanged) == (2, 2)


async def test_an_mcp_server_that_does_not_answer_is_named(pipeline):
    settings = McpSettings(name="wiki", url="http://127.0.0.1:9/mcp", access=STAFF, timeout_s=2)
    with pytest.raises(UpstreamDown, match="'wiki' does not answer"):
        await pipeline.run(McpResources(settings))


@asynccontextmanager
async def _served(app: Any) -> AsyncIterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
        running = asyncio.create_task(server.serve([listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        server.should_exit = True
        await running


async def test_an_mcp_server_that_wants_a_key_gets_it_by_header(record, pipeline):
    async with _served(keyed_app()) as url:
        settings = McpSettings(name="wiki", url=url, access=STAFF, timeout_s=5)
        with pytest.raises((UpstreamDown, ToolFault), match="'wiki'"):
            await pipeline.run(McpResources(settings))
        keyed = settings.model_copy(update={"headers": {"x-wiki-key": SecretStr(KEY)}})
        await pipeline.run(McpResources(keyed))
    assert record.paths() == {"pages/leave.md"}
    assert KEY not in repr(keyed)


@pytest.mark.timeout(30)
async def test_an_mcp_server_that_is_started_gets_its_key_by_variable(record, pipeline):
    program = (sys.executable, str(Path(__file__).with_name("keyed_mcp.py")))
    settings = McpSettings(name="wiki", command=program, access=STAFF, timeout_s=5)
    with pytest.raises((UpstreamDown, ToolFault), match="'wiki'"):
        await pipeline.run(McpResources(settings))
    keyed = settings.model_copy(update={"env": {"WIKI_KEY": SecretStr(KEY)}})
    await pipeline.run(McpResources(keyed))
    assert record.paths() == {"pages/leave.md"}


def test_a_key_that_would_go_nowhere_is_refused():
    for wrong in ({"headers": {"x": "y"}, "command": ("wiki",)}, {"env": {"x": "y"}, "url": "http://wiki.test/mcp"}):
        with pytest.raises(ValidationError, match="headers go with a url, env goes with a command"):
            McpSettings.model_validate({"name": "wiki", "access": STAFF, **wrong})


async def test_a_schedule_runs_sources_again_and_goes_on_when_one_fails(tmp_path, record, pipeline):
    (tmp_path / "a.md").write_text("Some words.")
    reports: asyncio.Queue[Any] = asyncio.Queue()
    sources = [
        FolderSettings(name="docs", path=str(tmp_path), every_s=0.02),
        FolderSettings(name="lost", path=str(tmp_path / "lost"), every_s=0.02),
    ]
    schedule = IngestSchedule(pipeline, sources, on_report=reports.put)
    task = asyncio.create_task(schedule.run_forever())
    first, second = await reports.get(), await reports.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (first.taken, second.unchanged, first.source, second.source) == (1, 1, "docs", "docs")
