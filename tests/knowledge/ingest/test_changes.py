"""What a second run over a folder sees: nothing, a change, a move, a deletion."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import samples
from memory_record import MemoryRecord

from knowledge.contracts import AccessRule, SourceItem
from knowledge.ingest import IngestPipeline, IngestProgress
from knowledge.parse.pool import ParserPool
from knowledge.settings import IngestSettings
from knowledge.sources import FolderSource
from signalbox.errors import UpstreamDown, UserFault

WORDS = "The warehouse in Leeds opens at seven and closes at six on working days."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    root.mkdir()
    (root / "hours.md").write_text(f"# Opening hours\n\n{WORDS}\n")
    (root / "holidays.md").write_text("# Holidays\n\nThe plant is closed between Christmas and New Year.\n")
    return root


async def test_a_second_run_over_unchanged_files_reads_and_writes_nothing(folder, record, ingest):
    first = await ingest(folder)
    written = list(record.calls)
    second = await ingest(folder)
    assert (first.taken, first.chunks, second.unchanged, second.chunks) == (2, 2, 2, 0)
    assert record.calls == written


async def test_a_touched_file_is_hashed_but_not_taken_again(folder, record, ingest):
    await ingest(folder)
    os.utime(folder / "hours.md", (1, 1))
    report = await ingest(folder)
    assert (report.unchanged, report.changed) == (2, 0)
    assert record.calls[2:] == ["touch hours.md"]


async def test_a_changed_file_keeps_its_id(folder, record, ingest):
    await ingest(folder)
    before = record.document_at("hours.md")
    (folder / "hours.md").write_text("# Opening hours\n\nThe warehouse in Leeds opens at eight now.\n")
    report = await ingest(folder)
    after = record.document_at("hours.md")
    assert (report.changed, report.unchanged, report.taken) == (1, 1, 0)
    assert before.document_id == after.document_id
    assert "eight" in record.texts[after.document_id]


async def test_a_renamed_file_keeps_its_id_and_is_not_parsed_again(folder, record, ingest):
    await ingest(folder)
    before = record.document_at("hours.md").document_id
    (folder / "sub").mkdir()
    (folder / "hours.md").rename(folder / "sub" / "opening.md")
    report = await ingest(folder)
    assert (report.moved, report.unchanged, report.removed, report.taken) == (1, 1, 0, 0)
    assert record.document_at("sub/opening.md").document_id == before
    assert record.calls[2:] == ["touch sub/opening.md"]


async def test_a_new_file_where_one_moved_away_gets_an_id_of_its_own(folder, record, ingest):
    await ingest(folder)
    moved = record.document_at("hours.md").document_id
    (folder / "hours.md").rename(folder / "opening.md")
    await ingest(folder)
    (folder / "hours.md").write_text("# Hours\n\nSomething else altogether stands here now.\n")
    report = await ingest(folder)
    assert report.taken == 1
    assert record.document_at("opening.md").document_id == moved
    assert record.document_at("hours.md").document_id != moved


async def test_a_deleted_file_is_removed(folder, record, ingest):
    await ingest(folder)
    (folder / "hours.md").unlink()
    report = await ingest(folder)
    assert (report.removed, report.unchanged) == (1, 1)
    assert record.paths() == {"holidays.md"}


async def test_a_copy_is_not_a_move(folder, record, ingest):
    await ingest(folder)
    (folder / "copy.md").write_bytes((folder / "hours.md").read_bytes())
    report = await ingest(folder)
    assert (report.taken, report.moved) == (1, 0)
    assert record.paths() == {"hours.md", "holidays.md", "copy.md"}


async def test_a_dry_run_tells_what_would_happen_and_writes_nothing(folder, record, ingest):
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 no more than that")
    report = await ingest(folder, dry_run=True)
    assert (report.dry_run, report.taken, report.chunks) == (True, 2, 2)
    assert [entry.document for entry in report.quarantined] == ["broken.pdf"]
    assert (record.calls, record.reports) == ([], [])


async def test_a_folder_that_was_emptied_keeps_its_documents_until_told_otherwise(folder, record, ingest, parser):
    await ingest(folder)
    for file in folder.iterdir():
        file.unlink()
    report = await ingest(folder)
    assert (report.removed, len(record.documents)) == (0, 2)
    assert "allow_emptying" in report.warnings[0]
    allowed = IngestPipeline(record, parser, IngestSettings(allow_emptying=True))
    assert (await allowed.run(FolderSource(folder, name="docs"))).removed == 2


async def test_a_folder_that_does_not_exist_says_what_to_do(tmp_path, ingest):
    with pytest.raises(UserFault, match=r"does not exist\. Check the path"):
        await ingest(tmp_path / "nowhere")


async def test_progress_reaches_the_total(folder, record, ingest):
    seen: list[IngestProgress] = []
    await ingest(folder, on_progress=seen.append)
    assert [(step.done, step.total) for step in seen] == [(0, 2), (1, 2), (2, 2)]
    assert (seen[-1].taken, seen[-1].chunks) == (2, 2)


async def test_a_run_that_died_is_completed_by_the_next(folder, parser):
    class Dying(MemoryRecord):
        async def put(self, document, chunks, text, on_step=None):
            if len(self.documents) == 1:
                raise ConnectionError("the machine went away")
            await super().put(document, chunks, text)

    record = Dying()
    with pytest.raises(ConnectionError, match="went away"):
        await IngestPipeline(record, parser).run(FolderSource(folder, name="docs"))
    survivor = MemoryRecord()
    survivor.documents, survivor.chunks, survivor.texts = record.documents, record.chunks, record.texts
    report = await IngestPipeline(survivor, parser).run(FolderSource(folder, name="docs"))
    assert (report.unchanged, report.taken) == (1, 1)


async def test_a_record_that_hangs_is_named_and_the_run_ends(folder, parser):
    class Hanging(MemoryRecord):
        async def put(self, document, chunks, text, on_step=None):
            await asyncio.sleep(60)

    pipeline = IngestPipeline(Hanging(), parser, IngestSettings(store_timeout_s=0.1))
    with pytest.raises(UpstreamDown, match=r"nothing moved for 0\.1 s\. Run the ingest again"):
        await pipeline.run(FolderSource(folder, name="docs"))


async def test_two_tenants_with_a_source_of_one_name_do_not_meet(folder, record, ingest):
    await ingest(folder)
    (folder / "hours.md").unlink()
    report = await ingest(folder, tenant="other")
    assert (report.taken, report.removed) == (1, 0)
    assert {document.source for document in record.documents.values()} == {"docs", "other:docs"}


async def test_parts_of_a_changed_archive_come_and_go_with_it(folder, record, ingest):
    (folder / "pack.zip").write_bytes(samples.archive({"a.md": b"First words.", "b.md": b"Other words."}))
    await ingest(folder)
    (folder / "pack.zip").write_bytes(samples.archive({"b.md": b"Other words.", "c.md": b"Third words."}))
    await ingest(folder)
    assert {path for path in record.paths() if "zip" in path} == {"pack.zip", "pack.zip/b.md", "pack.zip/c.md"}
    before = record.document_at("pack.zip/c.md").document_id
    (folder / "pack.zip").rename(folder / "box.zip")
    assert (await ingest(folder)).moved == 1
    assert record.document_at("box.zip/c.md").document_id == before
    (folder / "box.zip").write_bytes(b"PK\x03\x04 broken")
    report = await ingest(folder)
    assert [entry.document for entry in report.quarantined] == ["box.zip"]
    assert record.paths() == {"hours.md", "holidays.md"}


async def test_a_new_access_rule_relabels_without_new_passages(folder, record, ingest):
    await ingest(folder)
    (folder / ".access.yaml").write_text("hours.md: [group:operations]\n")
    report = await ingest(folder)
    assert (report.changed, report.unchanged) == (1, 1)
    assert record.calls[2:] == ["narrow hours.md", "touch hours.md"]
    assert record.document_at("hours.md").access == AccessRule(allow=frozenset({"group:operations"}))


async def test_another_pipeline_takes_everything_again(folder, record, ingest, parser: ParserPool):
    await ingest(folder)
    other = IngestPipeline(record, parser, IngestSettings.model_validate({"chunk": {"max_tokens": 64}}))
    assert (await other.run(FolderSource(folder, name="docs"))).changed == 2


async def test_a_document_of_another_region_stays_out(folder, record, pipeline):
    report = await pipeline.run(FolderSource(folder, name="docs", region="us"))
    assert len(report.quarantined) == 2
    assert record.documents == {}


async def test_new_tags_a_new_region_and_a_new_time_reach_the_record(folder, record, parser):
    (folder / "dated.md").write_text("---\ndate: 2025-05-01\n---\nWords of a certain day.")
    pipeline = IngestPipeline(record, parser, IngestSettings(region="eu"))
    await pipeline.run(FolderSource(folder, name="docs", tags=["old"]))
    for name in ("hours.md", "dated.md"):
        os.utime(folder / name, (1_000_000, 1_000_000))
    report = await pipeline.run(FolderSource(folder, name="docs", tags=["new"], region="eu"))
    assert (report.changed, len([call for call in record.calls if call.startswith("put")])) == (3, 3)
    hours, dated = record.document_at("hours.md"), record.document_at("dated.md")
    assert (hours.tags, hours.region, hours.modified) == (("new",), "eu", datetime.fromtimestamp(1_000_000, UTC))
    assert (dated.tags, dated.region, dated.modified) == (("new",), "eu", datetime(2025, 5, 1, tzinfo=UTC))


async def test_a_source_that_comes_to_belong_to_another_region_leaves_this_store(folder, record, parser):
    pipeline = IngestPipeline(record, parser, IngestSettings(region="eu"))
    await pipeline.run(FolderSource(folder, name="docs", region="eu"))
    report = await pipeline.run(FolderSource(folder, name="docs", region="us"))
    assert (len(report.quarantined), record.documents) == (2, {})


async def test_a_new_extension_that_changes_how_a_file_is_read_has_it_read_again(folder, record, ingest):
    (folder / "pay.txt").write_text("---\naccess: [group:finance]\n---\nThe pay of everybody.")
    await ingest(folder)
    before = record.document_at("pay.txt")
    (folder / "pay.txt").rename(folder / "pay.md")
    report = await ingest(folder)
    after = record.document_at("pay.md")
    assert (report.moved, report.taken, report.changed, report.removed) == (1, 0, 0, 0)
    assert (after.document_id, after.access.allow) == (before.document_id, {"group:finance"})
    assert record.text_of("pay.md") == "The pay of everybody."
    assert (await ingest(folder)).unchanged == 3


async def test_a_renamed_file_that_is_refused_under_its_new_name_is_gone_under_the_old(folder, record, ingest):
    (folder / "page.htm").write_text("<html><body><p>Words of a page.</p></body></html>")
    await ingest(folder)
    (folder / "page.htm").rename(folder / "page.csv")
    report = await ingest(folder)
    assert [entry.document for entry in report.quarantined] == ["page.csv"]
    assert record.paths() == {"hours.md", "holidays.md"}


class Listed:
    """A source of a list of uris with their content, as an MCP server has them."""

    name = "wiki"

    def __init__(self, contents: dict[str, bytes]) -> None:
        self.contents = contents

    async def items(self) -> AsyncIterator[SourceItem]:
        for uri, content in self.contents.items():
            yield SourceItem(
                source=self.name,
                document=uri.split("#")[0].removeprefix("app://"),
                uri=uri,
                fingerprint=str(hash(content)),
                size_bytes=len(content),
                access=AccessRule(allow=frozenset({"everyone"})),
            )

    async def read(self, item: SourceItem) -> bytes:
        return self.contents[item.uri]


async def test_uris_of_a_source_that_look_like_those_of_parts_are_documents_of_their_own(record, pipeline):
    pack = samples.archive({"a.md": b"In the archive.", "b #/c.md": b"Beside it."})
    source = Listed(
        {"app://doc": b"All.", "app://doc#/one": b"One.", "app://page#/two": b"Two.", "app://pack#/x.zip": pack}
    )
    assert (await pipeline.run(source)).taken == 4
    for _ in range(3):
        report = await pipeline.run(source)
        assert (report.unchanged, report.removed, report.taken, len(record.documents)) == (4, 0, 0, 6)
    del source.contents["app://doc#/one"]
    assert (await pipeline.run(source)).removed == 1
    source.contents["app://pack#/y.zip"] = source.contents.pop("app://pack#/x.zip")
    assert ((await pipeline.run(source)).moved, len(record.documents)) == (1, 5)
    del source.contents["app://pack#/y.zip"]
    assert ((await pipeline.run(source)).removed, len(record.documents)) == (1, 2)


async def test_parts_of_one_name_are_documents_of_their_own(folder, record, ingest):
    invoices = [("invoice.txt", b"For May."), ("invoice.txt", b"For June."), ("invoice (2).txt", b"For July.")]
    (folder / "bills.eml").write_bytes(samples.mail_with(invoices))
    pack = samples.archive_of(
        [("a.md", b"One."), ("a.md", b"Two."), ("x.zip", samples.archive({"b.md": b"In."})), ("x.zip/b.md", b"Beside.")]
    )
    (folder / "pack.zip").write_bytes(pack)
    await ingest(folder)
    texts = {path: record.text_of(path) for path in record.paths() if "/" in path and not path.endswith(".zip")}
    assert texts == {
        "bills.eml/invoice.txt": "For May.",
        "bills.eml/invoice (3).txt": "For June.",
        "bills.eml/invoice (2).txt": "For July.",
        "pack.zip/a.md": "One.",
        "pack.zip/a (2).md": "Two.",
        "pack.zip/x.zip/b (2).md": "In.",
        "pack.zip/x.zip/b.md": "Beside.",
    }
    assert len({document.uri for document in record.documents.values()}) == len(record.documents)
    before = dict(record.documents)
    (folder / "pack.zip").touch()
    await ingest(folder)
    assert record.documents.keys() == before.keys()


async def test_a_file_that_is_put_back_after_a_run_that_died_in_its_parts_is_whole_again(folder, parser):
    class Dying(MemoryRecord):
        dies = False

        async def put(self, document, chunks, text, on_step=None):
            if self.dies and document.document == "pack.zip":
                raise ConnectionError("the machine went away")
            await super().put(document, chunks, text)

    record = Dying()
    pack, first = folder / "pack.zip", samples.archive({"a.md": b"First words."})
    pack.write_bytes(first)
    as_it_was = pack.stat().st_mtime_ns
    pipeline = IngestPipeline(record, parser)
    await pipeline.run(FolderSource(folder, name="docs"))
    pack.write_bytes(samples.archive({"a.md": b"Other words, which are withdrawn."}))
    record.dies = True
    with pytest.raises(ConnectionError):
        await pipeline.run(FolderSource(folder, name="docs"))
    assert record.text_of("pack.zip/a.md") == "Other words, which are withdrawn."
    record.dies = False
    pack.write_bytes(first)
    for moment in (as_it_was, as_it_was + 10**9):
        os.utime(pack, ns=(moment, moment))
        await pipeline.run(FolderSource(folder, name="docs"))
        assert record.text_of("pack.zip/a.md") == "First words."


async def test_what_was_refused_below_a_documents_path_is_not_a_part_of_it(record, pipeline):
    pack = samples.archive({"a.md": b"Words.", "bad.pdf": b"%PDF-1.7 broken"})
    source = Listed({"app://docs": b"A page.", "app://docs/bad.pdf": b"%PDF-1.7 broken", "app://pack.zip": pack})
    for _ in range(2):
        report = await pipeline.run(source)
        assert [entry.document for entry in report.quarantined] == ["docs/bad.pdf", "pack.zip/bad.pdf"]
    del source.contents["app://docs/bad.pdf"]
    for _ in range(2):
        report = await pipeline.run(source)
        assert [entry.document for entry in report.quarantined] == ["pack.zip/bad.pdf"]
