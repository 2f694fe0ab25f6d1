"""Near-duplicates are linked, and never across access rules."""

from knowledge.contracts import AccessRule
from knowledge.duplicates import similarity, sketch_of

TEXT = " ".join(f"Sentence {n} of the policy says that rule {n * 7} counts in week {n}." for n in range(40))


def test_sketches_estimate_how_much_two_texts_share():
    assert similarity(sketch_of(TEXT), sketch_of(TEXT)) == 1.0
    assert similarity(sketch_of(TEXT), sketch_of(TEXT.replace("week 20", "month 20"))) > 0.85
    other = " ".join(f"Chapter {n} tells another story about line {n * 3} and its place {n}." for n in range(40))
    assert similarity(sketch_of(TEXT), sketch_of(other)) < 0.1
    assert sketch_of("Too short to compare.") == ""


async def test_near_duplicates_are_linked_also_to_those_of_earlier_runs(tmp_path, record, ingest):
    (tmp_path / "policy.md").write_text(TEXT)
    await ingest(tmp_path)
    (tmp_path / "policy-v2.md").write_text(TEXT.replace("week 20", "month 20"))
    report = await ingest(tmp_path)
    (pair,) = report.near_duplicates
    assert pair.document == "policy-v2.md"
    assert record.document_at("policy-v2.md").near_duplicate_of == record.document_at("policy.md").document_id
    assert len(record.documents) == 2


async def test_near_duplicates_of_other_readers_are_not_linked(tmp_path, record, ingest):
    (tmp_path / ".access.yaml").write_text('"private.md": [group:people]\n')
    (tmp_path / "private.md").write_text(TEXT)
    (tmp_path / "public.md").write_text(TEXT)
    report = await ingest(tmp_path)
    assert report.near_duplicates == ()
    assert {document.near_duplicate_of for document in record.documents.values()} == {None}
    assert record.document_at("private.md").access == AccessRule(allow=frozenset({"group:people"}))
