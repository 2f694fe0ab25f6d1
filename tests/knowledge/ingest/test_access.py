"""Who may see a file: default, access files, front matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.contracts import AccessRule
from knowledge.sources.access import narrow
from signalbox.errors import UserFault

SUBJECTS = st.frozensets(st.sampled_from(["everyone", "group:a", "group:b", "user:x", "user:y"]))
RULES = st.builds(AccessRule, allow=SUBJECTS, deny=SUBJECTS)


def sees(rule: AccessRule, subjects: frozenset[str]) -> bool:
    return bool(rule.allow & subjects) and not rule.deny & subjects


@given(rule=RULES, further=RULES, person=SUBJECTS)
def test_narrowing_never_lets_anyone_in(rule, further, person):
    subjects = person | {"everyone"}
    if sees(narrow(rule, further), subjects):
        assert sees(rule, subjects)
        assert sees(further, subjects)


async def test_the_nearest_access_file_decides(tmp_path, record, ingest):
    (tmp_path / "people" / "letters").mkdir(parents=True)
    (tmp_path / ".access.yaml").write_text(
        '"people/*": [group:people]\n"*.csv": {allow: [everyone], deny: [user:bob]}\n'
    )
    (tmp_path / "people" / "letters" / ".access.yaml").write_text('"*": ["user:ada"]\n')
    for path in ("a.md", "b.csv", "people/c.md", "people/letters/d.md"):
        (tmp_path / path).write_text("one,two\n1,2\n" if path.endswith("csv") else "Some words.")
    await ingest(tmp_path)
    rules = {path: record.document_at(path).access for path in record.paths()}
    assert rules == {
        "a.md": AccessRule(allow=frozenset({"everyone"})),
        "b.csv": AccessRule(allow=frozenset({"everyone"}), deny=frozenset({"user:bob"})),
        "people/c.md": AccessRule(allow=frozenset({"group:people"})),
        "people/letters/d.md": AccessRule(allow=frozenset({"user:ada"})),
    }


async def test_front_matter_narrows_and_cannot_widen(tmp_path, record, ingest):
    (tmp_path / ".access.yaml").write_text('"closed.md": [group:people]\n')
    (tmp_path / "open.md").write_text("---\naccess: [group:finance]\n---\nWords.")
    (tmp_path / "closed.md").write_text("---\naccess: [everyone]\n---\nWords.")
    (tmp_path / "odd.md").write_text("---\naccess: 7\n---\nWords.")
    (tmp_path / "broken.md").write_text("---\ntitle: [x\naccess: [everyone]\n---\nWords.")
    report = await ingest(tmp_path)
    assert record.document_at("open.md").access.allow == {"group:finance"}
    assert record.document_at("closed.md").access.allow == {"group:people"}
    assert record.document_at("odd.md").access.allow == frozenset()
    assert record.document_at("broken.md").access.allow == frozenset()
    assert [warning for warning in report.warnings if "nobody may see it" in warning]


async def test_an_attachment_is_never_open_to_more_people_than_its_mail(tmp_path, record, ingest):
    import samples

    (tmp_path / ".access.yaml").write_text('"*.eml": [group:people]\n')
    part = b"---\naccess: [everyone]\n---\nWords of the attachment."
    (tmp_path / "m.eml").write_bytes(samples.mail(attachments={"a.md": part}))
    await ingest(tmp_path)
    assert record.document_at("m.eml/a.md").access.allow == {"group:people"}


@pytest.mark.parametrize("content", ["[1, 2]", '"*": [people]', '"*": {allowed: [everyone]}', "a: [unclosed"])
async def test_a_malformed_access_file_stops_the_run_before_anything_is_taken(tmp_path, record, ingest, content):
    (tmp_path / ".access.yaml").write_text(content)
    (tmp_path / "a.md").write_text("Words.")
    with pytest.raises(UserFault, match=r"\.access\.yaml"):
        await ingest(tmp_path)
    assert record.documents == {}


async def test_hidden_files_and_links_out_of_the_folder_are_not_seen(tmp_path, record, ingest):
    root = tmp_path / "docs"
    root.mkdir()
    (tmp_path / "secret.md").write_text("Secret words.")
    (root / "link.md").symlink_to(tmp_path / "secret.md")
    (root / "loop").symlink_to(root)
    (root / ".hidden.md").write_text("Hidden words.")
    (root / "~$lock.docx").write_text("x")
    (root / "seen.md").write_text("Words.")
    await ingest(root)
    assert record.paths() == {"seen.md"}


async def test_names_that_are_odd_or_not_even_text_are_read_all_the_same(tmp_path, record, ingest):
    import os

    names = ["100% #1?.md", "ünï cødé.md", "a|b.md", "new\nline.md"]
    for name in names:
        (tmp_path / name).write_text("Some words.")
    (tmp_path / os.fsdecode(b"latin-\xe9.md")).write_text("Other words.")
    report = await ingest(tmp_path)
    assert report.quarantined == ()
    assert record.paths() == {*names, "latin-\\xe9.md"}
    assert all(path.encode() for path in record.paths())
    assert (await ingest(tmp_path)).unchanged == 5


async def test_an_item_from_elsewhere_reads_nothing(tmp_path):
    from knowledge.sources import FolderSource
    from signalbox.errors import ToolFault

    root = tmp_path / "docs"
    root.mkdir()
    (root / "a.md").write_text("Words.")
    (tmp_path / "secret.md").write_text("Secret.")
    source = FolderSource(root)
    (item,) = [item async for item in source.items()]
    for uri in ((tmp_path / "secret.md").as_uri(), f"{root.as_uri()}/../secret.md", "file:///etc/passwd"):
        with pytest.raises(ToolFault, match="outside"):
            await source.read(item.model_copy(update={"uri": uri}))
