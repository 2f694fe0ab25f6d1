"""One turn goes the whole way, on the real system with the demo workspace."""

import json
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.system.conftest import Running

pytestmark = pytest.mark.timeout(200)


def documents(reply: dict, *, cited: bool = True) -> list[str]:
    return [source["document"] for source in reply["signalbox"]["sources"] if source["cited"] or not cited]


def text(reply: dict) -> str:
    return reply["choices"][0]["message"]["content"]


def test_an_answer_cites_the_document_and_names_what_replaced_what(system: Running) -> None:
    reply = system.ask("ada", "How many days a week may I work remotely?")
    assert "2 days" in text(reply)
    assert "people/remote-work-policy.md" in documents(reply)
    assert reply["signalbox"]["declined"] is False
    assert reply["signalbox"]["engine"] == "embedded"
    assert reply["usage"]["total_tokens"] > 0


def test_the_link_of_a_citation_opens_the_document_at_the_place_for_those_who_may_see_it(system: Running) -> None:
    reply = system.ask("bruno", "What are the minimum and maximum of salary band C?")
    cited = [source for source in reply["signalbox"]["sources"] if source["cited"] and source["uri"].startswith("/v1/")]
    assert "people/confidential/salary-bands-2026.xlsx" in [source["document"] for source in cited]
    with system.client("bruno") as bruno, system.client("ada") as ada:
        for source in cited:
            view = bruno.get(source["uri"]).json()
            assert view["document"] == source["document"]
            place = view["text"][view["mark_start"] - view["start"] : view["mark_end"] - view["start"]]
            assert source["quote"] in place
            page = bruno.get(source["uri"], headers={"accept": "text/html"})
            assert f'<mark id="{urlsplit(source["uri"]).fragment}">' in page.text
        secret = next(source for source in cited if "confidential" in source["document"])
        assert ada.get(secret["uri"]).status_code == 404
        assert httpx2.get(system.url + secret["uri"]).status_code == 401


def test_figures_come_from_the_operations_database(system: Running) -> None:
    reply = system.ask("ada", "How many open orders are there in Porto?")
    assert [step["specialist"] for step in reply["signalbox"]["steps"]] == ["data"]
    assert documents(reply) == ["operations/open_orders_by_site"]


def test_two_specialists_run_in_parallel_for_a_question_that_needs_both(system: Running) -> None:
    question = "What does the policy say about carrying over paid leave, and how many open orders are there in Porto?"
    reply = system.ask("ada", question)
    assert {step["specialist"] for step in reply["signalbox"]["steps"]} >= {"knowledge", "data"}
    with system.client("ada") as client:
        listed = client.get(f"/v1/runs/{reply['signalbox']['run_id']}/events", headers={"accept": "application/json"})
    events = [(event["type"], event.get("specialist")) for event in listed.json()["data"]]
    starts = [index for index, (kind, _) in enumerate(events) if kind == "step.started"]
    first_end = next(index for index, (kind, _) in enumerate(events) if kind == "step.finished")
    assert len(starts) >= 2
    assert starts[1] < first_end, "the second specialist started only after the first had ended"
    assert "31 March" in text(reply)


def test_a_question_that_nothing_answers_is_declined(system: Running) -> None:
    reply = system.ask("ada", "What is the boiling point of tungsten?")
    assert reply["signalbox"]["declined"] is True
    assert documents(reply) == []


def test_what_a_users_groups_forbid_is_not_found_and_leaves_no_trace(system: Running) -> None:
    question = "What are the minimum and maximum of salary band C?"
    forbidden = system.ask("ada", question)
    allowed = system.ask("bruno", question)
    assert "people/confidential/salary-bands-2026.xlsx" in documents(allowed, cited=False)
    assert "44000" in text(allowed).replace(",", "").replace(" ", "")
    whole = json.dumps(forbidden)
    assert "salary-bands" not in whole
    assert "44000" not in whole


def test_an_action_waits_for_approval_and_is_done_once(system: Running) -> None:
    reply = system.ask("ada", "Open a ticket: the label printer in Leeds prints blank pages")
    (approval,) = reply["signalbox"]["approvals"]
    assert approval["tool"] == "desk__create_ticket"
    with system.client("bruno") as other:
        assert other.get(f"/v1/approvals/{approval['id']}").status_code == 404
    with system.client("ada") as client:
        before = client.get(f"/v1/approvals/{approval['id']}").json()
        decided = client.post(f"/v1/approvals/{approval['id']}", json={"decision": "approve"}).json()
        again = client.post(f"/v1/approvals/{approval['id']}", json={"decision": "approve"})
        conversation = client.get(f"/v1/conversations/{reply['signalbox']['conversation_id']}").json()
    assert before["state"] == "pending"
    assert decided["state"] == "done", decided
    assert "label printer" in decided["outcome"].lower()
    assert again.status_code == 409
    assert conversation["messages"][-1]["content"] == decided["outcome"]


def test_a_conversation_goes_on(system: Running) -> None:
    first = system.ask("ada", "How many open orders are there in Porto?")
    conversation = first["signalbox"]["conversation_id"]
    second = system.ask("ada", "And in Ghent?", conversation_id=conversation)
    assert second["signalbox"]["conversation_id"] == conversation
    assert "Ghent" in text(second)
    assert [step["specialist"] for step in second["signalbox"]["steps"]] == ["data"]


def test_a_stream_ends_with_the_record_and_says_the_same_as_the_whole(system: Running) -> None:
    body = {
        "model": "signalbox",
        "stream": True,
        "messages": [{"role": "user", "content": "Within how many days must expenses be handed in?"}],
    }
    chunks: list[dict] = []
    with system.client("ada") as client, client.stream("POST", "/v1/chat/completions", json=body) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                chunks.append(json.loads(line[6:]))
    streamed = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    last = chunks[-1]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert any(source["cited"] for source in last["signalbox"]["sources"])
    assert "30 days" in streamed


def test_a_cited_document_opens_at_the_place_for_those_who_may_see_it(system: Running) -> None:
    reply = system.ask("bruno", "What are the minimum and maximum of salary band C?")
    source = next(item for item in reply["signalbox"]["sources"] if "salary-bands" in item["document"])
    path = source["uri"].split("#")[0]
    with system.client("bruno") as may, system.client("ada") as may_not:
        opened = may.get(path, params={"chunk": source["chunk_id"]}).json()
        assert may_not.get(path).status_code == 404
    assert source["quote"] in opened["text"]


def test_a_document_that_says_ignore_all_instructions_hides_nothing_and_orders_nothing(system: Running) -> None:
    reply = system.ask("ada", "From which amount do I need a receipt for expenses?")
    assert "15" in text(reply)
    assert "ignore all previous instructions" not in json.dumps(reply).lower()
