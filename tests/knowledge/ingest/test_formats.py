"""What the parsers leave of text in its many forms: with marks, in rows and records, in mail and in archives."""

import json

import pytest
import samples
from inline_snapshot import snapshot
from reading import outline, read


async def test_markdown_keeps_words_and_drops_marks_tags_and_comments(parser):
    document = await read(parser, "leave.md", samples.MARKDOWN)
    assert outline(document) == snapshot(
        [
            ("prose", None, "Heads up! Ask early. See the policy or write to People (people@larkspur.example)."),
            ("heading", None, "Steps"),
            (
                "list",
                None,
                """\
1. Open Gatehouse at Leave. It takes a minute.
2. Enter the days:
  - half days too
3. Wait.\
""",
            ),
            ("heading", None, "Sites"),
            (
                "table",
                None,
                """\
Site: Ghent; Days: 26
Site: Porto; Days: 25\
""",
            ),
            ("code", None, "gatehouse leave --days {{ days }}"),
        ]
    )
    assert (document.title, document.language, document.authors) == ("Going on leave", "en", ("Ada Verhulst",))
    assert document.modified is not None and document.modified.isoformat() == "2026-03-01T00:00:00+00:00"
    assert document.keywords[:2] == ("leave", "people")


async def test_html_keeps_what_a_reader_sees_of_the_main_content(parser):
    document = await read(parser, "leave.html", samples.HTML)
    assert outline(document) == snapshot(
        [
            ("heading", None, "Leave policy"),
            ("prose", None, "Leave depends on the country of your contract."),
            ("heading", None, "Days"),
            (
                "table",
                None,
                """\
Site: Ghent; Days: 26
Site: Porto; Days: 25\
""",
            ),
            ("heading", None, "How to"),
            (
                "list",
                None,
                """\
1. Check the calendar.
  - the team's
2. Ask your manager.\
""",
            ),
        ]
    )
    assert (document.title, document.authors) == ("Leave policy", ("Femke Bogaert",))
    assert document.warnings == ("4 hidden element(s) were left out.",)


async def test_html_definitions_go_with_their_terms(parser):
    page = (
        b"<html><body><dl><dt>Heron</dt><dd>compact</dd><dd>light</dd><dt>Wren:</dt><dd>trailer</dd></dl></body></html>"
    )
    assert (await read(parser, "a.html", page)).text == "- Heron: compact; light\n- Wren: trailer"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("A [link](https://x.example/a_(b)) and ![a picture](x.png).", "A link and a picture."),
        ("[![badge](b.svg)](https://x.example) [ref][1] <https://x.example/y>", "badge ref https://x.example/y"),
        ("**bold *and* more**, __strong__, _slanted_, snake_case_name, 2 * 3 * 4, 2**8", None),
        (
            "`{{ code }}` \\*not slanted\\* &amp; &lt;tag&gt; ~~gone~~ H~2~O",
            "{{ code }} *not slanted* & <tag> gone H~2~O",
        ),
        ("line one\\\nline two<br>line three[^1]", "line one line two line three"),
        ("> quoted words\n> go on", "quoted words go on"),
        ('Use {% channel "ops" %} or {% icon "star" %}{{ site.url }}{: .note}', "Use #ops or"),
        ('\\[half a link]({% page "x" %}) and ** loose stars', "half a link and loose stars"),
    ],
)
async def test_marks_go_and_words_stay(parser, source, words):
    text = (await read(parser, "a.md", source.encode())).text
    assert text == (words or "bold and more, strong, slanted, snake_case_name, 2 * 3 * 4, 2**8")


async def test_mail_has_its_headers_its_body_once_and_its_attachments_as_documents(parser):
    parsed = await parser.parse(
        "note.eml", samples.mail(attachments={"plan.md": b"# Plan\n\nFinish by May.", "bad.pdf": b"%PDF-1.4 nothing"})
    )
    document = parsed.parts[-1].document
    assert document is not None
    assert outline(document) == snapshot(
        [
            (
                "prose",
                None,
                """\
From: Elin Bergström <elin@larkspur.example>
To: ada@larkspur.example
Date: Thu, 12 Nov 2026 08:42:00 +0100
Subject: Batteries for Porto\
""",
            ),
            ("prose", None, "Dear Ada,"),
            ("prose", None, "the packs arrive on 24 November."),
            ("prose", None, "Elin"),
        ]
    )
    assert (document.title, document.authors) == ("Batteries for Porto", ("Elin Bergström",))
    assert [(part.path, part.document and part.document.text) for part in parsed.parts[:-1]] == snapshot(
        [
            (
                "plan.md",
                """\
Plan

Finish by May.\
""",
            ),
            ("bad.pdf", None),
        ]
    )
    assert parsed.parts[1].reason.startswith("The PDF is damaged")


async def test_csv_rows_read_as_facts_whatever_separates_them(parser):
    expected = "Site: Ghent; Days a year: 26\nSite: Porto; Days a year: 25"
    for separator in (",", ";", "\t", "|"):
        rows = "\n".join(separator.join(row) for row in [("Site", "Days_a_year"), ("Ghent", "26"), ("Porto", "25")])
        assert (await read(parser, "days.csv", rows.encode())).text == expected


async def test_csv_in_windows_encoding_is_read(parser):
    document = await read(parser, "staedte.csv", "Stadt;Größe\nKöln;1\nMünchen;2\n".encode("cp1252"))
    assert document.text == "Stadt: Köln; Größe: 1\nStadt: München; Größe: 2"


async def test_json_records_become_rows_and_values_keep_their_names(parser):
    value = {"name": "Heron", "sizes": ["S", "L"], "parts": [{"code": "BAT-500", "price": {"eur": 549}, "sold": True}]}
    document = await read(parser, "heron.json", json.dumps(value).encode())
    assert outline(document) == snapshot(
        [
            (
                "prose",
                None,
                """\
name: Heron
sizes: S, L\
""",
            ),
            ("heading", None, "parts"),
            ("table", None, "code: BAT-500; price eur: 549; sold: yes"),
        ]
    )


async def test_json_lines_are_rows(parser):
    document = await read(parser, "log.jsonl", b'{"day": 1, "what": "opened"}\n{"day": 2, "what": "closed"}\n')
    assert document.text == "day: 1; what: opened\nday: 2; what: closed"


async def test_plain_text_is_read_as_people_type_it(parser):
    text = (
        "SERVICE DESK\nPriya Raman\n\n"
        "Our hours are from seven to seven on every day from Monday to\nFriday, Ghent time.\n\n"
        "Please:\n- open a ticket\n- wait\n\n"
        "place    day       hour\nGhent    Monday    10:00\nPorto    Friday    11:00\n"
    )
    document = await read(parser, "desk.txt", text.encode())
    assert outline(document) == snapshot(
        [
            ("heading", None, "SERVICE DESK"),
            ("prose", None, "Priya Raman"),
            ("prose", None, "Our hours are from seven to seven on every day from Monday to Friday, Ghent time."),
            ("prose", None, "Please:"),
            (
                "list",
                None,
                """\
- open a ticket
- wait\
""",
            ),
            (
                "table",
                None,
                """\
place: Ghent; day: Monday; hour: 10:00
place: Porto; day: Friday; hour: 11:00\
""",
            ),
        ]
    )
    assert document.title == "SERVICE DESK"


async def test_zip_members_are_documents_and_the_archive_lists_them(parser):
    data = samples.archive({"a/plan.md": b"# Plan\n\nFinish by May.", "note.txt": b"Ring the bell.", ".hidden": b"x"})
    parsed = await parser.parse("pack.zip", data)
    assert [(part.path, part.document and part.document.text) for part in parsed.parts] == snapshot(
        [
            (
                "a/plan.md",
                """\
Plan

Finish by May.\
""",
            ),
            ("note.txt", "Ring the bell."),
            (
                "",
                """\
The archive pack.zip holds 2 file(s):

- a/plan.md
- note.txt\
""",
            ),
        ]
    )


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The warehouse in Leeds opens at seven and closes at six on working days.", "en"),
        ("Das Lager in Leeds öffnet um sieben und schließt an Werktagen um sechs Uhr.", "de"),
        ("L'entrepôt de Leeds ouvre à sept heures et ferme à six heures les jours ouvrables.", "fr"),
        ("Het magazijn in Leeds gaat om zeven uur open en sluit op werkdagen om zes uur.", "nl"),
        ("O armazém em Leeds abre às sete e fecha às seis nos dias úteis da semana.", "pt"),
        ("Склад в Лидсе открывается в семь и закрывается в шесть.", "ru"),
        ("利兹的仓库七点开门,六点关门。", "zh"),
        ("BAT-500 549 749", "und"),
    ],
)
async def test_language_is_recognised(parser, text, language):
    assert (await read(parser, "hours.txt", text.encode())).language == language


async def test_dates_sums_addresses_and_identifiers_are_found(parser):
    text = "Write to ada@larkspur.example by 2026-12-01 about RC-2026-02; it costs EUR 1,500 or €20 until 3 May 2027."
    document = await read(parser, "note.txt", text.encode())
    assert document.entities == snapshot(
        ("ada@larkspur.example", "2026-12-01", "3 May 2027", "€20", "EUR 1,500", "RC-2026-02")
    )
