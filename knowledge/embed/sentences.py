"""Where a passage's sentences begin and end: by line, then by full stop."""

import re

MAX_SENTENCES = 48
_STOP = re.compile(r"""[.!?。！？]["”’')\]]*(?:\s+(?=["“(\[*]*[A-Z0-9À-Þ])|(?<=[。！？]))""")
_ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "jr",
        "sr",
        "inc",
        "ltd",
        "co",
        "corp",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "fig",
        "no",
        "vol",
        "dept",
        "gen",
        "u.s",
        "u.k",
        "u.n",
        "d.c",
        "a.m",
        "p.m",
        "c",
        "ca",
        "approx",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "nr",
        "bzw",
        "z.b",
        "ca",
    ]
)
_SAYS = re.compile(r"[^\W_]")
_WORD_BEFORE = re.compile(r"[\w.]+$")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Offsets of the sentences of `text`, trimmed and in order; at most `MAX_SENTENCES`, the last taking the rest."""
    spans: list[tuple[int, int]] = []
    for line in re.finditer(r"[^\n]+", text):
        spans.extend(_line_spans(text, line.start(), line.end()))
    if len(spans) > MAX_SENTENCES:
        spans[MAX_SENTENCES - 1 :] = [(spans[MAX_SENTENCES - 1][0], spans[-1][1])]
    return spans


def _line_spans(text: str, start: int, end: int) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    begin = start
    for stop in _STOP.finditer(text, start, end):
        if text[stop.start()] == "." and _abbreviated(text[begin : stop.start()]):
            continue
        spans.append((begin, stop.end()))
        begin = stop.end()
    spans.append((begin, end))
    return [trimmed for span in spans if (trimmed := _trim(text, *span))]


def _abbreviated(before: str) -> bool:
    match = _WORD_BEFORE.search(before)
    word = match.group().lower().rstrip(".") if match else ""
    return word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha())


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = start + len(piece.rstrip())
    return (left, right) if _SAYS.search(text, left, right) else None
