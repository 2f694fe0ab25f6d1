"""The knowledge server in memory: every tool and resource through a real MCP session."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError

from knowledge.service import KnowledgeService
from knowledge.settings import KnowledgeSettings, RetrievalSettings
from mcp_servers.hosting import Caller
from mcp_servers.knowledge.desk import IngestDesk
from mcp_servers.knowledge.server import build_server
from signalbox.identity import Principal
from tests.knowledge.retrieval.helpers import WordEmbedder
from tests.mcp_servers.knowledge_world import ADA, CLARA, OPERATOR, config, meta, write_folder


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    settings = config(tmp_path / "data")
    service = KnowledgeService(RetrievalSettings(), tmp_path / "data", WordEmbedder())
    desk = IngestDesk(service, KnowledgeSettings().ingest)
    connection = Client(build_server(service, Caller(settings), desk))
    opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def hold() -> None:
        # A fixture's two halves run in different tasks; a session must be left by the one that entered it.
        async with connection as session:
            opened.set_result(session)
            await done.wait()

    task = asyncio.create_task(hold())
    yield await opened
    done.set()
    await task


@pytest.fixture
async def filled(client: Client, tmp_path: Path) -> Client:
    folder = write_folder(tmp_path / "docs")
    result = await client.call_tool("ingest_folder", {"path": str(folder), "access": ["everyone"]}, meta=meta(OPERATOR))
    assert not result.is_error, result.content
    assert result.structured_content is not None
    assert result.structured_content["taken"] == 2
    return client


async def _call(client: Client, tool: str, who: Principal, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments, meta=meta(who))
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


async def _fault(client: Client, tool: str, who: Principal, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments, meta=meta(who))
    assert result.is_error
    return result.content[0].text  # type: ignore[union-attr]


async def test_the_tools_say_what_they_are(client: Client) -> None:
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert {
        name: (tool.annotations.read_only_hint, tool.annotations.destructive_hint) for name, tool in tools.items()
    } == {
        "search": (True, False),
        "read": (True, False),
        "list_sources": (True, False),
        "list_documents": (True, False),
        "ingest_folder": (False, True),
        "remove_source": (False, True),
        "check_index": (False, False),
        "rebuild_index": (False, False),
        "roll_back_index": (False, False),
    }
    assert all(tool.output_schema for tool in tools.values())
    assert tools["search"].input_schema["required"] == ["query"]


async def test_a_search_returns_evidence_that_can_be_cited(filled: Client) -> None:
    result = await _call(filled, "search", ADA, query="How long is parental leave?")
    best = result["evidence"][0]
    assert best["ref"] == best["chunk_id"][:8]
    assert best["uri"] == f"/v1/documents/{best['document_id']}?chunk={best['chunk_id']}#cited"
    assert (best["document"], best["title"]) == ("leave.md", "Leave")
    assert 0 <= result["answerable"] <= 1
    read = await _call(filled, "read", ADA, document=best["document"])
    assert read["text"][best["start"] : best["end"]] == best["text"]


async def test_what_is_forbidden_is_not_there_for_any_tool_or_resource(filled: Client) -> None:
    allowed = await _call(filled, "search", CLARA, query="chief executive earns euros")
    pay = next(item for item in allowed["evidence"] if item["document"] == "finance/pay.md")
    forbidden = await _call(filled, "search", ADA, query="chief executive earns euros", limit=20)
    assert all(item["document"] != "finance/pay.md" for item in forbidden["evidence"])
    for arguments in ({"document": pay["document"]}, {"document": pay["document_id"]}, {"passage": pay["ref"]}):
        assert "does not exist" in await _fault(filled, "read", ADA, **arguments)
    assert [d["document"] for d in (await _call(filled, "list_documents", ADA))["documents"]] == ["leave.md"]
    assert [s["documents"] for s in (await _call(filled, "list_sources", ADA))["sources"]] == [1]
    uri = f"knowledge://documents/{pay['document_id']}"
    with pytest.raises(MCPError, match="does not exist"):
        await filled.read_resource(uri, meta=meta(ADA))
    text = await filled.read_resource(uri, meta=meta(CLARA))
    assert "210,000" in text.contents[0].text  # type: ignore[union-attr]


async def test_resources_are_listed_for_the_one_who_asks(filled: Client) -> None:
    assert [r.name for r in (await filled.list_resources(meta=meta(ADA))).resources] == ["leave.md"]
    assert len((await filled.list_resources(meta=meta(CLARA))).resources) == 2
    assert (await filled.list_resources()).resources == []


async def test_a_revoked_right_is_gone_with_the_next_call(filled: Client, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / ".access.yaml").write_text('"**": [group:board]\n"*": [group:board]\n')
    await _call(filled, "ingest_folder", OPERATOR, path=str(folder), access=["everyone"])
    assert (await _call(filled, "search", CLARA, query="parental leave"))["evidence"] == []


async def test_a_cursor_continues_and_belongs_to_its_search(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(7):
        (folder / f"{number}.md").write_text(f"# Note {number}\n\nBrake pads are changed in workshop {number}.\n")
    await _call(client, "ingest_folder", OPERATOR, path=str(folder), access=["everyone"])
    first = await _call(client, "search", ADA, query="brake pads", limit=4)
    second = await _call(client, "search", ADA, query="brake pads", limit=4, cursor=first["next_cursor"])
    seen = [item["document"] for item in (*first["evidence"], *second["evidence"])]
    assert sorted(seen) == [f"{number}.md" for number in range(7)]
    assert second["next_cursor"] is None
    assert "another search" in await _fault(client, "search", ADA, query="other", cursor=first["next_cursor"])
    assert "not a cursor" in await _fault(client, "search", ADA, query="brake pads", cursor="nonsense")


async def test_filters_reach_the_search(filled: Client) -> None:
    found = await _call(filled, "search", CLARA, query="leave", filters={"documents": ["finance/pay.md"]})
    assert {item["document"] for item in found["evidence"]} == {"finance/pay.md"}


async def test_reading_a_passage_shows_its_surroundings(filled: Client) -> None:
    best = (await _call(filled, "search", ADA, query="note after three days"))["evidence"][0]
    read = await _call(filled, "read", ADA, passage=best["ref"], around=2)
    assert "20 weeks" in read["text"]
    assert "three days" in read["text"]


async def test_without_a_token_of_ours_nothing_is_told(filled: Client) -> None:
    result = await filled.call_tool("search", {"query": "leave"})
    assert result.is_error
    stranger = await filled.call_tool("search", {"query": "leave"}, meta=meta(ADA, audience="operations"))
    assert stranger.is_error


async def test_only_operators_change_anything(filled: Client, tmp_path: Path) -> None:
    assert "admin" in await _fault(filled, "ingest_folder", ADA, path=str(tmp_path), access=["everyone"])
    assert "admin" in await _fault(filled, "remove_source", ADA, name="docs")
    for tool in ("check_index", "rebuild_index", "roll_back_index"):
        assert "admin" in await _fault(filled, tool, ADA)


async def test_an_index_is_built_anew_and_the_one_before_serves_again(filled: Client) -> None:
    assert "no index before this one" in await _fault(filled, "roll_back_index", OPERATOR)
    trial = await filled.call_tool("rebuild_index", {}, meta=meta(OPERATOR, dry_run=True))
    assert trial.structured_content is not None
    first = trial.structured_content["serving"]
    assert trial.structured_content["summary"].startswith("Would build")
    built = await _call(filled, "rebuild_index", OPERATOR)
    assert (built["before"], built["serving"] == first) == (first, False)
    trial = await filled.call_tool("roll_back_index", {}, meta=meta(OPERATOR, dry_run=True))
    assert trial.structured_content is not None
    assert (trial.structured_content["serving"], trial.structured_content["before"]) == (built["serving"], first)
    back = await _call(filled, "roll_back_index", OPERATOR)
    assert (back["serving"], back["before"]) == (first, built["serving"])
    assert len((await _call(filled, "search", CLARA, query="leave"))["evidence"]) > 0
    assert (await _call(filled, "check_index", OPERATOR))["green"]


async def test_an_operator_of_a_tenant_without_documents_has_no_index_to_go_back_to(filled: Client) -> None:
    stranger = Principal(user="ops", scopes=frozenset({"admin"}), tenant="other")
    assert "no index" in await _fault(filled, "roll_back_index", stranger)


async def test_bad_folders_and_subjects_are_explained(client: Client, tmp_path: Path) -> None:
    assert "not an absolute path" in await _fault(client, "ingest_folder", OPERATOR, path="docs", access=["everyone"])
    assert "no subject" in await _fault(client, "ingest_folder", OPERATOR, path=str(tmp_path), access=["staff"])
    missing = str(tmp_path / "missing")
    assert "missing" in await _fault(client, "ingest_folder", OPERATOR, path=missing, access=["everyone"])


async def test_a_source_is_removed_whole_and_a_dry_run_only_counts(filled: Client, tmp_path: Path) -> None:
    source = str(tmp_path / "docs")
    result = await filled.call_tool("remove_source", {"name": source}, meta=meta(OPERATOR, dry_run=True))
    assert result.structured_content == {
        "source": source,
        "documents": 2,
        "summary": f"Would remove 2 documents of {source!r}.",
    }
    assert (await _call(filled, "remove_source", OPERATOR, name=source))["documents"] == 2
    assert (await _call(filled, "search", CLARA, query="leave"))["evidence"] == []
    assert (await _call(filled, "check_index", OPERATOR))["green"]
    assert "no source" in await _fault(filled, "remove_source", OPERATOR, name=source)


async def test_an_operator_of_another_tenant_removes_nothing(filled: Client, tmp_path: Path) -> None:
    stranger = Principal(user="ops", scopes=frozenset({"admin"}), tenant="other")
    assert "no source" in await _fault(filled, "remove_source", stranger, name=str(tmp_path / "docs"))
    assert (await _call(filled, "list_sources", stranger))["sources"] == []
    assert len((await _call(filled, "search", CLARA, query="leave"))["evidence"]) > 0


async def test_a_second_folder_of_the_same_name_leaves_the_first_alone(filled: Client, tmp_path: Path) -> None:
    other = tmp_path / "other" / "docs"
    other.mkdir(parents=True)
    (other / "prices.md").write_text("# Prices\n\nThe Heron costs 4,200 euros.\n")
    report = await _call(filled, "ingest_folder", OPERATOR, path=str(other), access=["everyone"])
    assert (report["taken"], report["removed"]) == (1, 0)
    listed = (await _call(filled, "list_sources", CLARA))["sources"]
    assert {s["name"]: s["documents"] for s in listed} == {str(tmp_path / "docs"): 2, str(other): 1}


async def test_lists_of_documents_go_on_page_by_page(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(103):
        (folder / f"{number:03}.txt").write_text(f"Note {number}.")
    await _call(client, "ingest_folder", OPERATOR, path=str(folder), access=["everyone"])
    first = await _call(client, "list_documents", ADA)
    rest = await _call(client, "list_documents", ADA, cursor=first["next_cursor"])
    names = [item["document"] for item in (*first["documents"], *rest["documents"])]
    assert (names, rest["next_cursor"]) == ([f"{number:03}.txt" for number in range(103)], None)
    page = await client.list_resources(meta=meta(ADA))
    more = await client.list_resources(meta=meta(ADA), cursor=page.next_cursor)
    assert [len(page.resources), len(more.resources)] == [100, 3]


async def test_ingest_tells_how_far_it_is(client: Client, tmp_path: Path) -> None:
    told: list[tuple[float, float | None]] = []

    async def progress(done: float, total: float | None, _message: str | None) -> None:
        told.append((done, total))

    folder = write_folder(tmp_path / "docs")
    arguments = {"path": str(folder), "access": ["everyone"]}
    await client.call_tool("ingest_folder", arguments, meta=meta(OPERATOR), progress_callback=progress)
    assert told[-1] == (2, 2)


async def test_a_resource_that_is_cut_says_so_and_where_to_read_on(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    text = "\n\n".join(f"Note {number} on the brakes of the Heron." for number in range(6_000))
    (folder / "long.txt").write_text(text)
    await _call(client, "ingest_folder", OPERATOR, path=str(folder), access=["everyone"])
    (entry,) = (await _call(client, "list_documents", ADA))["documents"]
    uri = f"knowledge://documents/{entry['document_id']}"
    content = (await client.read_resource(uri, meta=meta(ADA))).contents[0].text  # type: ignore[union-attr]
    shown, _, notice = content.rpartition("\n\n")
    assert shown == text[:200_000]
    assert notice == (
        f"[Cut here: the first 200,000 of {len(text):,} characters. "
        f"The tool `read` reads on: document={entry['document_id']}, start=200000.]"
    )
    on = await _call(client, "read", ADA, document=entry["document_id"], start=200_000, length=100)
    assert on["text"] == text[200_000:200_100]
    assert all(item["start"] < 200_100 and item["end"] > 200_000 for item in on["evidence"])


@pytest.mark.parametrize(
    "arguments",
    [
        {"also": ["x" * 2_001]},
        {"filters": {"tags": ["x" * 301]}},
        {"filters": {"documents": ["x" * 4_097]}},
        {"filters": {"sources": ["x" * 4_097]}},
    ],
)
async def test_a_search_that_is_too_long_is_told_so(client: Client, arguments: dict[str, Any]) -> None:
    fault = await _fault(client, "search", ADA, query="brakes", **arguments)
    assert "should have at most" in fault
    assert len(fault) < 1_000
