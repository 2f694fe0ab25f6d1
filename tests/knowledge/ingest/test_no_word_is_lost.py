"""Whatever way a text is marked up, every word that a reader sees comes through, once and in order."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.clean import clean_pieces, clean_text
from knowledge.parse import html, markdown, plain
from knowledge.parse.draft import Draft, assemble

INLINE = st.sampled_from(
    ["{}", "**{}**", "*{}*", "_{}_", "`{}`", "[{}](http://x.example/y)", "~~{}~~", "<b>{}</b>", "\\*{}"]
)
BLOCK = st.sampled_from(
    [
        "{}\n",
        "# {}\n",
        "{}\n====\n",
        "- {}\n",
        "  - {}\n",
        "1. {}\n",
        "1) {}\n   more\n",
        "> {}\n",
        "> - {}\n",
        "```\n{}\n```\n",
        "| {} | b |\n|---|---|\n| c | d |\n",
        "    {}\n",
        "***\n{}\n",
        "<div>{}</div>\n",
        "{}\n\n\n",
    ]
)

TAGS = "p div span b ul ol li table tr td th h1 h2 section a em dl dt dd blockquote pre br center"


def words_of(draft: Draft) -> list[str]:
    text, _ = assemble(clean_pieces(draft.pieces))
    return re.findall(r"word\d+", text)


@settings(max_examples=300, deadline=None)
@given(blocks=st.lists(st.tuples(BLOCK, st.lists(INLINE, min_size=1, max_size=4)), min_size=1, max_size=10))
def test_markdown(blocks):
    source, wanted = "", []
    for block, inlines in blocks:
        names = [f"word{len(wanted) + index}" for index in range(len(inlines))]
        wanted.extend(names)
        source += block.format(" ".join(inline.format(name) for inline, name in zip(inlines, names, strict=True)))
    found = words_of(markdown.parse(source.encode(), "a.md"))
    assert sorted(set(found)) == sorted(wanted), source


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_html(data):
    tags = st.sampled_from(TAGS.split())
    source, wanted, opened = "", [], []
    for _ in range(data.draw(st.integers(1, 25))):
        if opened and data.draw(st.booleans()):
            source += f"</{opened.pop()}>"
        else:
            opened.append(data.draw(tags))
            source += f"<{opened[-1]}>"
        wanted.append(f"word{len(wanted)}")
        source += f" {wanted[-1]} "
    found = words_of(html.parse(f"<html><body>{source}</body></html>".encode(), "a.html"))
    assert set(found) == set(wanted), source


@settings(max_examples=200, deadline=None)
@given(
    lines=st.lists(
        st.sampled_from(["{}", "- {}", "  {}", "", "{}  {}", "1. {}", "====", "{}:"]), min_size=1, max_size=20
    )
)
def test_plain_text(lines):
    source, count = [], 0
    for line in lines:
        names = [f"word{count + index}" for index in range(line.count("{}"))]
        count += len(names)
        source.append(line.format(*names))
    found = words_of(plain.parse("\n".join(source).encode(), "a.txt"))
    assert set(found) == {f"word{index}" for index in range(count)}


@given(text=st.text())
def test_cleaning_twice_is_cleaning_once(text):
    once = clean_text(text)
    assert clean_text(once) == once
