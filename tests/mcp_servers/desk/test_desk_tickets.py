"""Tickets: what the actions do, who may, what a preview shows, what undo brings back."""

import json
from typing import Any

import jsonschema
import pytest
from mcp import Client

from tests.mcp_servers.desk.conftest import PRINTER, Call

WITHOUT = {"receipt_id", "created_at", "updated_at", "id"}


def stable(value: Any) -> Any:
    """A result without ids and times."""
    if isinstance(value, dict):
        return {key: stable(inner) for key, inner in value.items() if key not in WITHOUT}
    return [stable(inner) for inner in value] if isinstance(value, list) else value


async def test_a_ticket_is_created_with_a_receipt_that_says_so(call: Call):
    receipt = await call.ok("create_ticket", PRINTER)
    assert receipt["ticket"]["id"] == "T-1001"
    assert stable(receipt) == {
        "summary": "Created T-1001, a high it ticket “Label printer stuck” for Leeds, requested by ada.",
        "status": "done",
        "undoable": True,
        "changes": [],
        "comment": None,
        "message": None,
        "ticket": {
            **PRINTER,
            "status": "open",
            "requester": "ada",
            "assignee": None,
            "resolution": None,
            "comments": [],
        },
    }
    assert (await call.ok("create_ticket", PRINTER))["ticket"]["id"] == "T-1002"


async def test_the_life_of_a_ticket(call: Call):
    ticket = (await call.ok("create_ticket", PRINTER))["ticket"]["id"]
    desk = {"user": "priya.raman"}
    assigned = await call.ok("assign_ticket", {"ticket_id": ticket, "assignee": "Priya Raman"}, **desk)
    assert assigned["changes"] == [
        {"field": "assignee", "before": None, "after": "priya.raman"},
        {"field": "status", "before": "open", "after": "in_progress"},
    ]
    await call.ok("comment_ticket", {"ticket_id": ticket, "comment": "Any news?"})
    closed = await call.ok("close_ticket", {"ticket_id": ticket, "resolution": "Print head cleaned."}, **desk)
    assert closed["summary"] == "Closed T-1001 (Label printer stuck): “Print head cleaned.”"
    again = await call.ok("close_ticket", {"ticket_id": ticket, "resolution": "Twice."}, **desk)
    assert (again["status"], again["changes"]) == ("unchanged", [])
    reopened = await call.ok("reopen_ticket", {"ticket_id": ticket, "reason": "Stuck again."})
    assert reopened["ticket"]["status"] == "in_progress"
    assert [c["body"] for c in reopened["ticket"]["comments"]] == ["Any news?", "Stuck again."]
    details = await call.ok("get_ticket", {"ticket_id": "1001"})
    assert details["ticket"]["resolution"] is None
    assert details["evidence"][0]["document"] == "desk/T-1001"
    assert "Stuck again." in details["evidence"][0]["text"]


async def test_a_ticket_exists_for_requester_assignee_and_team_only(call: Call):
    await call.ok("create_ticket", PRINTER | {"category": "people"}, user="henrique.matos")
    for user, sees in (("henrique.matos", True), ("bruno", True), ("priya.raman", True), ("ada", False)):
        answer = await call("get_ticket", {"ticket_id": "T-1001"}, user=user)
        found = await call.ok("search_tickets", {"query": "printer"}, user=user)
        assert (answer.error == "", bool(found["tickets"])) == (sees, sees)
    hidden = await call("get_ticket", {"ticket_id": "T-1001"})
    absent = await call("get_ticket", {"ticket_id": "T-1999"})
    assert hidden.error.replace("1001", "1999", 1) == absent.error
    for tool, extra in (("comment_ticket", {"comment": "x"}), ("close_ticket", {"resolution": "x"})):
        assert "There is no ticket" in (await call(tool, {"ticket_id": "T-1001", **extra})).error


async def test_another_tenant_sees_nothing_and_counts_its_own(call: Call):
    await call.ok("create_ticket", PRINTER)
    assert "There is no ticket" in (await call("get_ticket", {"ticket_id": "T-1001"}, tenant="other")).error
    other = await call.ok("create_ticket", PRINTER | {"title": "Theirs"}, tenant="other")
    assert other["ticket"]["id"] == "T-1001"
    assert (await call.ok("get_ticket", {"ticket_id": "T-1001"}))["ticket"]["title"] == PRINTER["title"]
    assert (await call.ok("find_person", {"query": "Ada"}, tenant="other"))["people"] == []


async def test_only_those_who_work_on_a_category_assign(call: Call):
    ticket = {"ticket_id": (await call.ok("create_ticket", PRINTER))["ticket"]["id"]}
    refused = await call("assign_ticket", {**ticket, "assignee": "ada"})
    assert "is for those who work on 'it' tickets. Add a comment that asks for it instead." in refused.error
    own = await call.ok("create_ticket", PRINTER | {"category": "logistics"}, user="bruno")
    done = await call.ok("assign_ticket", {"ticket_id": own["ticket"]["id"], "assignee": "inês carvalho"})
    assert done["ticket"]["assignee"] == "ines.carvalho"


async def test_internal_comments_are_for_those_who_work_on_the_ticket(call: Call):
    ticket = (await call.ok("create_ticket", PRINTER))["ticket"]["id"]
    note = {"ticket_id": ticket, "comment": "Vendor is bankrupt", "internal": True}
    assert "is for those who work on" in (await call("comment_ticket", note)).error
    await call.ok("comment_ticket", note, user="priya.raman")
    assert (await call.ok("get_ticket", {"ticket_id": ticket}))["ticket"]["comments"] == []
    assert len((await call.ok("get_ticket", {"ticket_id": ticket}, user="priya.raman"))["ticket"]["comments"]) == 1
    assert (await call.ok("search_tickets", {"query": "bankrupt"}))["tickets"] == []


async def test_a_name_that_fits_several_people_asks_which(call: Call):
    ticket = (await call.ok("create_ticket", PRINTER))["ticket"]["id"]
    several = await call("assign_ticket", {"ticket_id": ticket, "assignee": "Ines"}, user="priya.raman")
    assert "Candidates: Inês Carvalho (Quality manager, Porto), Inês Pinto (Assembler, Porto)." in several.error
    nobody = await call("assign_ticket", {"ticket_id": ticket, "assignee": "Nemo"}, user="priya.raman")
    assert "There is nobody called 'Nemo' in the directory." in nobody.error


ACTIONS: list[tuple[str, dict[str, Any]]] = [
    ("create_ticket", PRINTER),
    ("comment_ticket", {"ticket_id": "T-1001", "comment": "A remark"}),
    ("assign_ticket", {"ticket_id": "T-1001", "assignee": "Priya Raman"}),
    ("close_ticket", {"ticket_id": "T-1001", "resolution": "Done."}),
    ("reopen_ticket", {"ticket_id": "T-1002", "reason": "Not done."}),
    ("send_message", {"to": "Ada Verhulst", "subject": "Printer", "body": "It works."}),
]


@pytest.mark.parametrize(("tool", "arguments"), ACTIONS)
async def test_a_preview_shows_exactly_what_happens_and_changes_nothing(
    call: Call, tool: str, arguments: dict[str, Any]
):
    how = {"user": "priya.raman"}
    for title in ("One", "Two"):
        await call.ok("create_ticket", PRINTER | {"title": title}, **how)
    await call.ok("close_ticket", {"ticket_id": "T-1002", "resolution": "x"}, **how)
    before = await call.rows()
    preview = await call.ok(tool, arguments, dry_run=True, idempotency_key="k", **how)
    assert await call.rows() == before
    assert preview["summary"].startswith("Would ")
    assert (preview["status"], preview["receipt_id"]) == ("preview", "")
    real = await call.ok(tool, arguments, idempotency_key="k", **how)
    for part in ("changes", "ticket", "comment", "message"):
        assert stable(preview[part]) == stable(real[part])


@pytest.mark.parametrize(("tool", "arguments"), ACTIONS[:5])
async def test_undo_brings_back_what_was(call: Call, tool: str, arguments: dict[str, Any]):
    how = {"user": "priya.raman"}
    for title in ("One", "Two"):
        await call.ok("create_ticket", PRINTER | {"title": title}, **how)
    await call.ok("close_ticket", {"ticket_id": "T-1002", "resolution": "x"}, **how)
    before = [stable((await call.ok("get_ticket", {"ticket_id": t}, **how))["ticket"]) for t in ("T-1001", "T-1002")]
    done = await call.ok(tool, arguments, **how)
    assert done["undoable"]
    undone = await call.ok("undo", {"receipt_id": done["receipt_id"]}, **how)
    assert (undone["status"], undone["summary"]) == ("undone", f"Undone: {done['summary']}")
    after = [stable((await call.ok("get_ticket", {"ticket_id": t}, **how))["ticket"]) for t in ("T-1001", "T-1002")]
    assert after == before
    if tool == "create_ticket":
        gone = await call.ok("get_ticket", {"ticket_id": done["ticket"]["id"]}, **how)
        assert gone["ticket"]["status"] == "withdrawn"
    twice = await call.ok("undo", {"receipt_id": done["receipt_id"]}, **how)
    assert twice["status"] == "unchanged"


async def test_undo_is_refused_for_others_for_changed_things_and_for_messages(call: Call):
    created = await call.ok("create_ticket", PRINTER)
    other = await call("undo", {"receipt_id": created["receipt_id"]}, user="bruno")
    assert "There is no receipt" in other.error
    await call.ok("close_ticket", {"ticket_id": "T-1001", "resolution": "x"})
    assert "T-1001 was changed since" in (await call("undo", {"receipt_id": created["receipt_id"]})).error
    sent = await call.ok("send_message", {"to": "bruno", "subject": "Hi", "body": "There"})
    assert "This cannot be undone" in (await call("undo", {"receipt_id": sent["receipt_id"]})).error


async def test_undo_ends_with_its_time(connect: Any):
    call = await connect(undo_within_h=1e-9)
    created = await call.ok("create_ticket", PRINTER)
    assert "Too late to undo" in (await call("undo", {"receipt_id": created["receipt_id"]})).error


async def test_search_finds_by_words_state_and_person_in_pages(call: Call):
    for number in range(13):
        await call.ok("create_ticket", PRINTER | {"title": f"Scanner {number}"})
    await call.ok(
        "create_ticket", PRINTER | {"title": "Door of dock 3 jams", "category": "facilities", "priority": "low"}
    )
    best = await call.ok("search_tickets", {"query": "the door at dock 3"})
    assert best["tickets"][0]["title"] == "Door of dock 3 jams"
    first = await call.ok("search_tickets", {"query": "scanner", "status": "unsolved", "person": "me"})
    second = await call.ok(
        "search_tickets", {"query": "scanner", "status": "unsolved", "person": "me", "cursor": first["next_cursor"]}
    )
    assert len({t["id"] for t in first["tickets"] + second["tickets"]}) == 13
    assert second["next_cursor"] is None
    assert (await call.ok("search_tickets", {"priority": "low"}))["tickets"][0]["category"] == "facilities"
    assert (await call.ok("search_tickets", {"query": "100% _"}))["tickets"] == []
    wrong = await call("search_tickets", {"query": "door", "cursor": first["next_cursor"]})
    assert "The cursor belongs to another search." in wrong.error


async def test_people_are_found_by_role_and_place(call: Call):
    found = await call.ok("find_person", {"query": "plant manager Porto"})
    assert [p["name"] for p in found["people"]] == ["Henrique Matos"]
    assert found["summary"] == (
        "Henrique Matos, Plant manager in Production, Porto: henrique.matos@larkspur.example, extension 4001."
    )
    assert found["evidence"][0]["document"] == "desk/people/henrique.matos"
    assert (await call.ok("find_person", {"query": "Zaphod"}))["summary"] == "Nobody matches 'Zaphod'."


async def test_the_tools_tell_the_truth_about_themselves(call: Call):
    async with Client(call.server) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    for tool in tools.values():
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        assert "$ref" not in json.dumps(tool.input_schema)
        assert tool.description and tool.output_schema and tool.annotations
    reads = {name for name, tool in tools.items() if tool.annotations and tool.annotations.read_only_hint}
    assert reads == {"search_tickets", "get_ticket", "find_person"}
    opens = {name for name, tool in tools.items() if tool.annotations and tool.annotations.open_world_hint}
    assert opens == {"send_message"}
    before = await call.rows()
    for name, arguments in (("search_tickets", {"query": "x"}), ("find_person", {"query": "ada"})):
        await call.ok(name, arguments)
    assert await call.rows() == before


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("create_ticket", PRINTER | {"title": "   "}, "'title' needs 1 to 200 characters"),
        ("create_ticket", PRINTER | {"priority": "asap"}, "'low', 'normal', 'high' or 'urgent'"),
        ("get_ticket", {"ticket_id": "T-1001'; DROP TABLE tickets"}, "Ticket ids look like T-1001"),
        ("undo", {"receipt_id": "rcpt_x"}, "receipt_id"),
        ("search_tickets", {"cursor": "xx"}, "not one of ours"),
    ],
)
async def test_a_wrong_call_says_what_would_be_right(call: Call, tool: str, arguments: dict[str, Any], said: str):
    assert said in (await call(tool, arguments)).error


async def test_a_call_without_a_token_is_refused(call: Call):
    async with Client(call.server) as client:
        result = await client.call_tool("create_ticket", PRINTER)
    assert result.is_error and "carries no token" in str(result.content[0])
