from datetime import UTC, datetime
from pathlib import Path

import pytest

from knowledge.contracts import AccessRule, Filters, SourceItem
from knowledge.ingest import IngestReport, Quarantined, Surroundings
from knowledge.ingest.contracts import HeldElsewhere, Holder
from knowledge.service import KnowledgeService
from knowledge.settings import RetrievalSettings
from signalbox.errors import Bug, NotFound, UserFault
from tests.knowledge.retrieval.helpers import ADA, BIKES, CLARA, LEAVE, PAY, WordEmbedder, make_document

EVERYONE = AccessRule(allow=frozenset({"everyone"}))


async def _texts(service: KnowledgeService, query: str, who=ADA) -> list[str]:
    return [hit.chunk.text for hit in (await service.search(who, [query], limit=20)).hits]


async def test_what_was_put_is_known_and_found(service: KnowledgeService) -> None:
    await service.store.put(*LEAVE)
    known = await service.store.known("default", "docs")
    assert list(known) == ["file:///leave.md"]
    entry = known["file:///leave.md"]
    assert (entry.fingerprint, entry.content_sha256, entry.access) == ("1", LEAVE[0].content_sha256, EVERYONE)
    assert LEAVE[1][0].text in await _texts(service, "parental leave weeks")


async def test_a_change_replaces_passages_and_embeds_only_what_is_new(
    service: KnowledgeService, embedder: WordEmbedder
) -> None:
    await service.store.put(*LEAVE)
    embedder.asked.clear()
    changed = make_document("leave.md", ["Parental leave is 26 weeks. It is paid in full.", LEAVE[1][1].text])
    await service.store.put(*changed)
    assert all("Sick leave" not in text for text in embedder.asked)
    found = await _texts(service, "parental sick leave")
    assert sorted(found) == sorted(chunk.text for chunk in changed[1])
    assert (await service.check()).green


async def test_the_same_text_elsewhere_costs_no_embedding(service: KnowledgeService, embedder: WordEmbedder) -> None:
    await service.store.put(*make_document("a/leave.md", ["Leave is 20 weeks."], title="Leave"))
    embedder.asked.clear()
    await service.store.put(*make_document("b/leave.md", ["Leave is 20 weeks."], title="Leave"))
    assert embedder.asked == []


async def test_a_touch_moves_and_relabels_at_once(service: KnowledgeService) -> None:
    await service.store.put(*LEAVE)
    finance = AccessRule(allow=frozenset({"group:finance"}))
    document_id = LEAVE[0].document_id
    now = Surroundings(fingerprint="2", access=finance, document="hr/leave.md", uri="file:///hr/leave.md")
    await service.store.touch(document_id, now)
    assert await _texts(service, "parental leave", ADA) == []
    hits = (await service.search(CLARA, ["parental leave"])).hits
    assert {hit.document.document for hit in hits} == {"hr/leave.md"}
    assert list(await service.store.known("default", "docs")) == ["file:///hr/leave.md"]
    assert (await service.check()).green


async def test_touching_what_is_not_there_says_so(service: KnowledgeService) -> None:
    with pytest.raises(NotFound):
        await service.store.touch("0" * 32, Surroundings(fingerprint="2", access=EVERYONE, document="x", uri="x"))


async def test_removal_leaves_nothing_behind(tmp_path: Path, embedder: WordEmbedder) -> None:
    service = await KnowledgeService.open(RetrievalSettings(), tmp_path, embedder)
    await service.store.put(*make_document("secret.md", ["The zebrafish project starts in May."]))
    await service.store.put(*BIKES)
    await service.store.remove(make_document("secret.md", ["x"])[0].document_id)
    await service.store.remove("0" * 32)
    assert all("zebrafish" not in text for text in await _texts(service, "zebrafish project"))
    assert (await service.check()).green
    await service.close()
    embedder.asked.clear()
    again = await KnowledgeService.open(RetrievalSettings(), tmp_path, embedder)
    await again.store.put(*make_document("secret.md", ["The zebrafish project starts in May."]))
    await again.close()
    assert any("zebrafish" in text for text in embedder.asked), "its cached vectors went with it"


async def test_the_report_of_a_run_ends_old_quarantine(service: KnowledgeService) -> None:
    item = SourceItem(
        source="docs", document="bad.pdf", uri="file:///bad.pdf", fingerprint="1", size_bytes=1, access=EVERYONE
    )
    await service.store.quarantine("default", item, "It is not a PDF.")
    await service.store.quarantine("default", item, "It is encrypted.")
    left_out = (Quarantined(document="bad.pdf", reason="It is encrypted."),)
    await service.store.finish("default", "docs", IngestReport(source="docs", quarantined=left_out))
    assert [(entry.document, entry.reason) for entry in await service.store.quarantined("default", "docs")] == [
        ("bad.pdf", "It is encrypted.")
    ]
    await service.store.finish("default", "docs", IngestReport(source="docs", taken=1))
    assert await service.store.quarantined("default", "docs") == []


async def test_a_document_of_another_region_is_refused(service: KnowledgeService) -> None:
    with pytest.raises(UserFault, match="region 'eu'"):
        await service.store.put(*make_document("eu.md", ["Only in Europe."], region="eu"))


async def test_a_record_is_not_answered_from_in_another_region(tmp_path: Path, record_url: str) -> None:
    here, there = [
        RetrievalSettings.model_validate({"database_url": record_url, "region": region}) for region in ("eu", "us")
    ]
    service = await KnowledgeService.open(here, tmp_path, WordEmbedder())
    await service.store.put(*make_document("eu.md", ["Only in Europe."], region="eu"))
    assert (await service.search(ADA, ["Europe"])).hits
    await service.close()
    with pytest.raises(UserFault, match="tagged for region 'eu'"):
        await KnowledgeService.open(there, tmp_path, WordEmbedder())
    await (await KnowledgeService.open(here, tmp_path, WordEmbedder())).close()


async def test_a_passage_that_is_not_in_the_text_is_refused(service: KnowledgeService) -> None:
    document, chunks, text = LEAVE
    with pytest.raises(Bug, match="not what stands at its place"):
        await service.store.put(document, chunks, text.replace("20", "99"))
    assert await service.store.known("default", "docs") == {}


async def test_sources_count_only_what_one_may_see(service: KnowledgeService) -> None:
    for parts in (LEAVE, PAY, BIKES):
        await service.store.put(*parts)
    assert [(s.name, s.documents) for s in await service.sources(ADA)] == [("docs", 2)]
    assert [(s.name, s.documents) for s in await service.sources(CLARA)] == [("docs", 3)]
    assert [d.document for d in await service.documents(ADA)] == ["bikes.md", "leave.md"]


async def test_documents_of_one_path_in_several_sources_are_all_listed(service: KnowledgeService) -> None:
    for name in ("a/leave.md", "b/leave.md", "c/leave.md"):
        document, chunks, text = make_document(name, ["Parental leave is 20 weeks."])
        await service.store.put(document.model_copy(update={"document": "leave.md", "source": name}), chunks, text)
    seen: list[str] = []
    after = ("", "")
    while page := await service.documents(ADA, limit=1, after=after):
        seen.append(page[0].source)
        after = (page[0].document, page[0].document_id)
    assert sorted(seen) == ["a/leave.md", "b/leave.md", "c/leave.md"]


async def test_what_a_killed_write_left_goes_with_the_next_version(
    service: KnowledgeService, embedder: WordEmbedder
) -> None:
    await service.settled()
    document, chunks, text = make_document("leave.md", ["Parental leave is 18 weeks."])
    async with service._database.write() as connection:  # as far as a write came when its process was killed
        plan = await service.store._begin(connection, document, chunks, text)
    await service.store._add_vectors(plan)
    await service.store.put(*LEAVE)
    assert (await service.check()).green


async def test_a_touch_renews_what_a_search_is_narrowed_by(service: KnowledgeService) -> None:
    document, chunks, text = make_document(
        "leave.md", ["Parental leave is 20 weeks."], tags=("people", "draft"), authors=("Ada",)
    )
    await service.store.put(document, chunks, text)
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    now = Surroundings(
        fingerprint="2", access=EVERYONE, document="leave.md", uri=document.uri, tags=("rules",), modified=moment
    )
    await service.store.touch(document.document_id, now)

    async def found(**narrowed: object) -> int:
        return len((await service.search(ADA, ["parental leave"], Filters.model_validate(narrowed))).hits)

    assert [await found(tags=[tag]) for tag in ("people", "draft", "rules")] == [0, 0, 1]
    assert await found(authors=["ada"]) == 1
    assert await found(modified_after=moment) == 1
    assert await found(modified_after=datetime(2026, 3, 2, tzinfo=UTC)) == 0
    (hit,) = (await service.search(ADA, ["parental leave"])).hits
    assert (hit.document.tags, hit.document.modified) == (("rules",), moment)


async def test_a_region_that_a_touch_gives_holds_at_the_next_start(tmp_path: Path, record_url: str) -> None:
    here, there = [
        RetrievalSettings.model_validate({"database_url": record_url, "region": region}) for region in ("eu", "us")
    ]
    service = await KnowledgeService.open(here, tmp_path, WordEmbedder())
    document, chunks, text = make_document("eu.md", ["Only in Europe."])
    await service.store.put(document, chunks, text)
    now = Surroundings(fingerprint="2", access=EVERYONE, document="eu.md", uri=document.uri)
    with pytest.raises(UserFault, match="region 'us'"):
        await service.store.touch(document.document_id, now.model_copy(update={"region": "us"}))
    await service.store.touch(document.document_id, now.model_copy(update={"region": "eu"}))
    await service.close()
    with pytest.raises(UserFault, match="tagged for region 'eu'"):
        await KnowledgeService.open(there, tmp_path, WordEmbedder())


async def test_a_document_of_another_source_is_named_refused_and_can_be_handed_over(service: KnowledgeService) -> None:
    store = service.store
    await store.put(*PAY)
    document, chunks, text = PAY
    foreign = document.model_copy(update={"source": "other", "access": EVERYONE, "fingerprint": "2"})
    for uris in ({document.uri}, {document.uri, *map(str, range(1000))}):
        held = await store.held_elsewhere("default", "other", uris)
        assert held == {document.uri: Holder(source="docs", access=document.access)}
    assert await store.held_elsewhere("default", "docs", {document.uri}) == {}
    assert await store.held_elsewhere("acme", "docs", {document.uri}) == {}
    before = await store.known("default", "docs")
    with pytest.raises(HeldElsewhere, match=r"source 'docs' already and stays there, for group:finance\."):
        await store.put(foreign, chunks, text)
    with pytest.raises(HeldElsewhere, match="another document"):
        await store.put(document.model_copy(update={"tenant": "acme"}), chunks, text)
    assert await store.known("default", "docs") == before
    assert await _texts(service, "chief executive earns", ADA) == []
    await store.adopt([document.document_id], "other")
    assert (await store.known("default", "docs"), await store.known("default", "other")) == ({}, before)
    assert {hit.document.source for hit in (await service.search(CLARA, ["chief executive"])).hits} == {"other"}
    assert (await service.check()).green
