"""What the parsers leave of the files that offices make: PDF, scans, Word, slides and workbooks."""

import samples
from inline_snapshot import snapshot
from reading import outline, read

from knowledge.parse.pool import ParserPool
from knowledge.settings import ParseSettings


async def test_pdf_has_pages_headings_tables_and_lists_without_page_headers(parser):
    document = await read(parser, "guide.pdf", samples.pdf(pages=3))
    assert outline(document)[:6] == snapshot(
        [
            ("prose", 1, "Larkspur Cargo Bikes"),
            ("heading", 1, "Chapter 1"),
            (
                "prose",
                1,
                " ".join([samples.INSPECTION] * 4),
            ),
            (
                "table",
                1,
                """\
Part: Front axle; Torque: 40 Nm; Note: check after a month
Part: Stem; Torque: 6 Nm\
""",
            ),
            (
                "list",
                1,
                """\
1. Open the valve.
2. Wait ten minutes.\
""",
            ),
            ("heading", 2, "Chapter 2"),
        ]
    )
    assert {block.page for block in document.blocks} == {1, 2, 3}
    assert document.text.count("Larkspur") == 1
    assert (document.title, document.authors) == ("Maintenance guide", ("Nadia Benali",))


async def test_pdf_reports_scanned_pages(parser):
    document = await read(parser, "scan.pdf", samples.scanned_pdf())
    assert document.warnings == snapshot(
        ("1 of 2 pages are scanned pictures without text; enable OCR to read them: 1.",)
    )


async def test_scanned_pages_are_read_by_ocr_where_it_is_switched_on(tmp_path, monkeypatch):
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\nhead -c 17 | tr '\\n' ' '\necho WORDS OF THE PICTURE\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    async with ParserPool(ParseSettings(workers=1, ocr=True)) as parser:
        document = await read(parser, "scan.pdf", samples.scanned_pdf())
    assert document.text.startswith("P5 1654 2339 255 WORDS OF THE PICTURE")
    assert document.blocks[0].page == 1
    assert document.warnings == ("1 of 2 pages were read by OCR: 1.",)


async def test_word_has_headings_lists_tables_and_no_hidden_text(parser):
    document = await read(parser, "paint.docx", samples.word())
    assert outline(document) == snapshot(
        [
            ("heading", None, "Restarting the paint line"),
            ("prose", None, "The burner failed in March."),
            ("heading", None, "Steps"),
            (
                "list",
                None,
                """\
1. Close the gas valve.
2. Reset the controller.
3. Heat the oven.\
""",
            ),
            ("heading", None, "Limits"),
            (
                "list",
                None,
                """\
- Gas
- Power\
""",
            ),
            (
                "table",
                None,
                """\
Part: Front axle; Torque: 40 Nm; Note: check after a month
Part: Stem; Torque: 6 Nm\
""",
            ),
        ]
    )
    assert (document.title, document.authors) == ("Restarting the paint line", ("Lotte Peeters",))
    assert document.warnings == ("Hidden text was left out.",)


async def test_deck_has_slides_notes_and_tables_and_no_hidden_slides(parser):
    document = await read(parser, "hall.pptx", samples.deck())
    assert outline(document) == snapshot(
        [
            ("heading", 1, "Town hall"),
            (
                "list",
                1,
                """\
- Orders are up by 8 percent
- The paint line is back\
""",
            ),
            ("prose", 1, "Notes: Thank the night shift."),
            ("heading", 2, "Torque"),
            (
                "table",
                2,
                """\
Part: Front axle; Torque: 40 Nm; Note: check after a month
Part: Stem; Torque: 6 Nm\
""",
            ),
        ]
    )
    assert document.warnings == ("Slide 3 is hidden and was left out.",)


async def test_workbook_rows_read_as_facts_and_hidden_rows_and_sheets_are_left_out(parser):
    document = await read(parser, "torque.xlsx", samples.workbook())
    assert outline(document) == snapshot(
        [
            ("heading", None, "Torque"),
            ("table", None, "Torque values of 2026"),
            ("table", None, "Part: Front axle; Torque: 40 Nm; Note: check after a month"),
            ("table", None, "Share: 12.5%; Amount: €1,234.50; Day: 2026-11-20"),
        ]
    )
    assert document.warnings == ("1 hidden sheet(s) were left out.",)
