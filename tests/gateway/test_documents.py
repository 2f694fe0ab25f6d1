"""Cited documents are opened where they are cited, as text; ingestion tells how it goes."""

import json

import httpx

from tests.gateway.conftest import House

ID = "d" * 32


async def test_a_cited_document_opens_as_a_page_that_runs_nothing(client: httpx.AsyncClient):
    page = await client.get(f"/v1/documents/{ID}?chunk=c1", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "<script" not in page.text
    assert '<mark id="cited">&lt;script&gt;alert(1)&lt;/script&gt;</mark>' in page.text
    assert "<title>A &lt;title&gt;</title>" in page.text
    assert "hr/&lt;b&gt;.md" in page.text


async def test_a_program_gets_json_with_offsets(client: httpx.AsyncClient):
    view = (await client.get("/v1/documents/hr/<b>.md?chunk=c1")).json()
    assert view["text"][view["mark_start"] : view["mark_end"]] == "<script>alert(1)</script>"


async def test_a_forbidden_document_looks_like_none(client: httpx.AsyncClient, house: House):
    forbidden = await client.get(f"/v1/documents/{ID}", headers=house.headers("bruno"))
    unknown = await client.get(f"/v1/documents/{'e' * 32}", headers=house.headers("bruno"))
    assert forbidden.status_code == unknown.status_code == 404
    assert forbidden.json()["error"]["message"].replace("d" * 32, "e" * 32) == unknown.json()["error"]["message"]


async def test_ingestion_is_for_administrators_and_tells_its_progress(client: httpx.AsyncClient, house: House):
    root = {"headers": house.headers("root")}
    done = await client.post("/v1/documents/ingest", json={"path": "/data", "access": ["everyone"]}, **root)
    assert done.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in done.text.splitlines()]
    assert [(line["processed"], line["done"]) for line in lines] == [(1, False), (2, True)]
    nowhere = await client.post("/v1/documents/ingest", json={"path": "/nowhere"}, **root)
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "not_found")


async def test_an_ingestion_that_breaks_says_so_in_its_last_line(client: httpx.AsyncClient, house: House):
    broken = await client.post("/v1/documents/ingest", json={"path": "/breaks"}, headers=house.headers("root"))
    assert json.loads(broken.text.splitlines()[-1])["error"]["message"] == "b.pdf is corrupt."


async def test_administrators_look_after_the_index_and_are_told_what_cannot_be_done(
    client: httpx.AsyncClient, house: House
):
    root = {"headers": house.headers("root")}
    done = await client.post("/v1/documents/index", json={"action": "check"}, **root)
    lines = [json.loads(line) for line in done.text.splitlines()]
    assert [(line["done"], line["summary"]) for line in lines] == [
        (False, {}),
        (True, {"summary": "Everything agrees."}),
    ]
    nothing = await client.post("/v1/documents/index", json={"action": "roll_back"}, **root)
    assert (nothing.status_code, nothing.json()["error"]["message"]) == (502, "There is no index before this one.")
    assert (await client.post("/v1/documents/index", json={"action": "drop"}, **root)).status_code == 400
