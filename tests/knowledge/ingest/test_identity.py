"""Which documents a source may change: its own, and nobody else's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from knowledge.contracts import AccessRule
from knowledge.ingest import IngestPipeline
from knowledge.parse.pool import ParserPool
from knowledge.service import KnowledgeService
from knowledge.settings import IngestSettings, RetrievalSettings
from knowledge.sources import FolderSource
from knowledge.sources.settings import FolderSettings
from tests.knowledge.retrieval.helpers import WordEmbedder


@pytest_asyncio.fixture(loop_scope="session")
async def service(tmp_path: Path) -> AsyncIterator[KnowledgeService]:
    opened = await KnowledgeService.open(RetrievalSettings(), tmp_path / "data", WordEmbedder())
    yield opened
    await opened.close()


@pytest.fixture
def stored(service: KnowledgeService, parser: ParserPool) -> IngestPipeline:
    return IngestPipeline(service.store, parser)


def _folder(path: Path, **files: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, words in files.items():
        (path / f"{name}.md").write_text(f"# {name}\n\n{words}\n")
    return path


async def _paths(service: KnowledgeService, source: str, tenant: str = "default") -> set[str]:
    known = await service.store.known(tenant, source)
    return {uri.rsplit("/", maxsplit=1)[1] for uri in known}


async def test_two_folders_of_one_name_keep_their_own_documents(tmp_path, service, stored):
    people = _folder(tmp_path / "hr" / "docs", leave="Parental leave is 20 weeks.")
    sales = _folder(tmp_path / "sales" / "docs", prices="The Heron costs 4,200 euros.")
    await stored.run(FolderSource(people))
    report = await stored.run(FolderSource(sales))
    assert (report.taken, report.removed, report.moved) == (1, 0, 0)
    assert await _paths(service, str(people)) == {"leave.md"}
    assert await _paths(service, str(sales)) == {"prices.md"}


async def test_a_folder_is_the_same_source_however_its_path_is_written(tmp_path, service, stored):
    folder = _folder(tmp_path / "docs", leave="Parental leave is 20 weeks.")
    (tmp_path / "link").symlink_to(folder)
    await stored.run(FolderSource(folder))
    for other in (tmp_path / "link", tmp_path / "docs" / ".." / "docs", f"{folder}/"):
        report = await stored.run(FolderSource(other))
        assert (report.source, report.unchanged, report.taken) == (str(folder), 1, 0)


async def test_documents_kept_under_the_folders_last_name_become_the_folders_own(tmp_path, service, stored):
    people = _folder(tmp_path / "hr" / "docs", leave="Parental leave is 20 weeks.", pay="Pay day is the 25th.")
    other = _folder(tmp_path / "sales" / "docs", prices="The Heron costs 4,200 euros.")
    await stored.run(FolderSource(people, name="docs"))  # as earlier versions did
    before = await service.store.known("default", "docs")
    (people / "pay.md").unlink()
    assert (await stored.run(FolderSource(other))).removed == 0
    dry = await stored.run(FolderSource(people), dry_run=True)
    assert (dry.unchanged, dry.removed, dry.taken) == (1, 1, 0)
    assert await service.store.known("default", "docs") == before
    report = await stored.run(FolderSource(people))
    assert (report.unchanged, report.removed, report.taken) == (1, 1, 0)
    assert report.warnings == ("Documents kept under the name 'docs' belong to this source now: 2.",)
    assert await service.store.known("default", "docs") == {}
    assert await _paths(service, str(people)) == {"leave.md"}
    after = await service.store.known("default", str(people))
    assert {entry.document_id for entry in after.values()} < {entry.document_id for entry in before.values()}
    assert (await service.check()).green


async def test_documents_kept_under_the_name_of_a_link_move_to_the_real_folder(tmp_path, service, stored):
    folder = _folder(tmp_path / "docs", leave="Parental leave is 20 weeks.")
    (tmp_path / "link").symlink_to(folder)
    await stored.run(FolderSource(tmp_path / "link", name="link"))  # as earlier versions did
    before = await service.store.known("default", "link")
    report = await stored.run(FolderSource(tmp_path / "link"))
    assert (report.moved, report.taken, report.removed) == (1, 0, 0)
    after = await service.store.known("default", str(folder))
    assert {entry.document_id for entry in after.values()} == {entry.document_id for entry in before.values()}


async def test_an_outer_folder_does_not_take_what_an_inner_one_of_its_name_took(tmp_path, service, stored):
    outer = _folder(tmp_path / "docs", outer="Words of the outer folder.")
    inner = _folder(outer / "docs", inner="Words of the inner folder.")
    await stored.run(FolderSource(inner, name="docs"))
    await stored.run(FolderSource(outer, exclude=("docs/*",)))
    assert await _paths(service, str(outer)) == {"outer.md"}
    assert await _paths(service, "docs") == {"inner.md"}


async def test_a_configured_source_keeps_what_is_its_own_though_the_folder_has_its_name(tmp_path, service, parser):
    folder = _folder(tmp_path / "docs", leave="Parental leave is 20 weeks.")
    configured = FolderSettings(name="docs", path=str(folder))
    pipeline = IngestPipeline(service.store, parser, IngestSettings(sources=(configured,)))
    await pipeline.run(FolderSource(folder, name="docs"))
    await pipeline.run(FolderSource(folder, exclude=("*",)))
    assert await _paths(service, "docs") == {"leave.md"}


async def test_a_name_that_reads_like_another_tenants_key_touches_nothing_of_that_tenant(tmp_path, service, stored):
    theirs = _folder(tmp_path / "acme", secret="The zebrafish project starts in May.")
    ours = _folder(tmp_path / "ours", public="The canteen opens at noon.")
    (theirs / "broken.pdf").write_bytes(b"%PDF-1.7 no more than that")
    await stored.run(FolderSource(theirs, name="docs"), tenant="acme")
    report = await stored.run(FolderSource(ours, name="acme:docs"))
    assert (report.taken, report.removed) == (1, 0)
    assert await _paths(service, "acme:docs", "acme") == {"secret.md"}
    assert await _paths(service, "acme:docs") == {"public.md"}
    assert [entry.document for entry in await service.store.quarantined("acme", "acme:docs")] == ["broken.pdf"]
    again = await stored.run(FolderSource(theirs, name="docs"), tenant="acme")
    assert (again.unchanged, again.taken, again.removed) == (1, 0, 0)


EVERYONE = AccessRule(allow=frozenset({"everyone"}))
PEOPLE = AccessRule(allow=frozenset({"group:people"}))


@pytest.mark.parametrize(("first", "second"), [(PEOPLE, EVERYONE), (EVERYONE, PEOPLE)])
async def test_a_document_of_two_sources_stays_with_the_first_and_the_second_is_told(
    tmp_path, service, stored, first, second
):
    outer = _folder(tmp_path / "all", menu="The canteen opens at noon.")
    inner = _folder(outer / "hr", leave="Parental leave is 20 weeks.")
    holder = FolderSource(inner, access=first)
    await stored.run(holder)
    before = await service.store.known("default", str(inner))
    for dry_run in (True, False, False):
        report = await stored.run(FolderSource(outer, access=second), dry_run=dry_run)
        assert [entry.document for entry in report.quarantined] == ["hr/leave.md"]
        assert f"source {str(inner)!r}" in report.quarantined[0].reason
        assert ", ".join(first.allow) in report.quarantined[0].reason
        assert report.removed == 0
    again = await stored.run(holder)
    assert (again.unchanged, again.quarantined) == (1, ())
    assert await service.store.known("default", str(inner)) == before
    assert await _paths(service, str(outer)) == {"menu.md"}
    (inner / "leave.md").write_text("# leave\n\nParental leave is 26 weeks.\n")
    assert (await stored.run(FolderSource(outer, access=second))).changed == 0
    assert (await stored.run(holder)).changed == 1


async def test_a_document_that_its_first_source_lets_go_is_taken_by_the_other(tmp_path, service, stored):
    outer = _folder(tmp_path / "all", menu="The canteen opens at noon.")
    inner = _folder(outer / "hr", leave="Parental leave is 20 weeks.")
    await stored.run(FolderSource(outer))
    assert (await stored.run(FolderSource(inner, access=PEOPLE))).taken == 0
    assert (await stored.run(FolderSource(outer, exclude=("hr/*",)))).removed == 1
    assert (await stored.run(FolderSource(inner, access=PEOPLE))).taken == 1
    assert (await stored.run(FolderSource(outer, exclude=("hr/*",)))).unchanged == 1
    assert [entry.access for entry in (await service.store.known("default", str(inner))).values()] == [PEOPLE]


async def test_a_new_file_where_another_sources_document_began_does_not_overwrite_it(tmp_path, service, stored):
    outer = _folder(tmp_path / "all")
    inner = _folder(outer / "hr", leave="Parental leave is 20 weeks.")
    await stored.run(FolderSource(inner, access=PEOPLE))
    (inner / "leave.md").rename(inner / "parents.md")
    assert (await stored.run(FolderSource(inner, access=PEOPLE))).moved == 1
    before = await service.store.known("default", str(inner))
    _folder(inner, leave="Sick leave needs a note.")
    report = await stored.run(FolderSource(outer))
    assert [entry.document for entry in report.quarantined] == ["hr/leave.md", "hr/parents.md"]
    assert await service.store.known("default", str(inner)) == before
    assert (await stored.run(FolderSource(inner, access=PEOPLE))).taken == 1
