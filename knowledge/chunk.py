"""Passages of a document: its sections, and parts of a section only where it is too long for the embedder.

Every passage is `text[start:end]` of the document. Together they hold every word of it, once. A passage is cut only
between sentences, list items, table rows or lines; where one of those alone is too long, between words.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from knowledge.contracts import Block, BlockKind, Chunk, ParsedDocument, chunk_id_of

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[^\W_])|(?<=[。！？])|\n")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|no|nr|fig|dr|mr|mrs|ms|prof|st|inc|ltd|co|bzw|z\.B|u\.a|ca|p|pp|vol|al|jr|sr|"
    r"jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|u\.s)|\b[A-Z])\.$",
    re.I,
)
_TOKEN = re.compile(r"[^\W_]+|[^\w\s]|_")
_LINE_END = re.compile(r"\n")
_SPACE = re.compile(r"\s+")
_INK = re.compile(r"\S")
_FIRST_LOOK = 8
"""Characters for each token that fits: where a long text is first looked at."""
_SURELY = 4
"""A count may fall where a text grows ("1234567" is four pieces, "1234567a" is one), but never to a quarter."""

CountTokens = Callable[[str], int]


def estimate_tokens(text: str) -> int:
    """About what a word-piece tokenizer counts, without one: within 15 % for 99 of 100 English passages."""
    # One match after the other, since `findall` over a long text would keep every other thread waiting.
    return sum(_pieces(match[0]) for match in _TOKEN.finditer(text))


def _pieces(token: str) -> int:
    size = len(token)
    if not token.isascii() or token.isdigit():
        return (size + 1) // 2
    return 1 if size < 9 else 2 + (size - 9) // 5


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not cut further; `glued` units stay with the one before where there is room."""

    start: int
    end: int
    tokens: int
    glued: bool = False


def chunk_document(
    document: ParsedDocument, document_id: str, *, max_tokens: int = 256, count_tokens: CountTokens = estimate_tokens
) -> tuple[Chunk, ...]:
    """The passages of a document in reading order."""
    text = document.text
    chunks: list[Chunk] = []
    for section in sections(document.blocks):
        headings = next((block.headings for block in section if block.kind != "heading"), section[-1].headings)
        starts, ends = [block.start for block in section], [block.end for block in section]
        for start, end in _spans(text, section, max_tokens, count_tokens):
            inside = section[bisect_right(ends, start) : bisect_left(starts, end)]
            body = text[start:end]
            chunks.append(
                Chunk(
                    chunk_id=chunk_id_of(document_id, body, len(chunks)),
                    document_id=document_id,
                    ordinal=len(chunks),
                    text=body,
                    start=start,
                    end=end,
                    kind=_kind(inside, start, end),
                    headings=headings,
                    page=inside[0].page,
                    language=document.language,
                )
            )
    return tuple(chunks)


def sections(blocks: Sequence[Block]) -> list[list[Block]]:
    """Blocks by heading; a heading with nothing under it goes with the section that follows."""
    found: list[list[Block]] = []
    headings_only = False
    for block in blocks:
        heading = block.kind == "heading"
        if not found or (heading and not headings_only):
            found.append([])
            headings_only = True
        headings_only = headings_only and heading
        found[-1].append(block)
    if len(found) > 1 and headings_only:
        found[-2].extend(found.pop())
    return found


def _kind(blocks: Iterable[Block], start: int, end: int) -> BlockKind:
    sizes: Counter[BlockKind] = Counter()
    for block in blocks:
        weight = 1 if block.kind == "heading" else 1_000
        sizes[block.kind] += weight * (min(end, block.end) - max(start, block.start))
    return sizes.most_common(1)[0][0]


def _spans(text: str, section: Sequence[Block], limit: int, count: CountTokens) -> list[tuple[int, int]]:
    """Where to cut a section."""
    start, end = section[0].start, section[-1].end
    if _tokens(text, start, end, limit, count) is not None:
        return [_trim(text, start, end)] if text[start:end].strip() else []
    groups = [_units(text, block, limit, count) for block in section]
    groups = _glue(text, [group for group in groups if group])
    total = sum(unit.tokens for group in groups for unit in group)
    aim = min(limit, max(limit // 2, -(-total // -(-total // limit)) + limit // 8))
    spans: list[tuple[int, int]] = []
    packed: list[_Unit] = []
    used = 0
    for group in groups:
        size = sum(unit.tokens for unit in group)
        if used + size <= aim or (used + size <= limit and not packed):
            packed.extend(group)
            used += size
            continue
        if size <= limit and used >= limit // 4:
            spans.append((packed[0].start, packed[-1].end))
            packed, used = list(group), size
            continue
        for unit in group:
            if packed and used + unit.tokens > (limit if unit.glued else aim):
                spans.append((packed[0].start, packed[-1].end))
                packed, used = [], 0
            packed.append(unit)
            used += unit.tokens
    if packed:
        spans.append((packed[0].start, packed[-1].end))
    return _join_small(text, [_trim(text, *span) for span in spans], limit, count)


def _join_small(text: str, spans: list[tuple[int, int]], limit: int, count: CountTokens) -> list[tuple[int, int]]:
    """Neighbours that fit into one passage become one."""
    joined: list[tuple[int, int]] = []
    for span in spans:
        if joined and count(text[joined[-1][0] : span[1]]) <= limit:
            joined[-1] = (joined[-1][0], span[1])
        else:
            joined.append(span)
    return joined


def _glue(text: str, groups: list[list[_Unit]]) -> list[list[_Unit]]:
    """A heading, and a paragraph that ends in a colon, go with what they introduce."""
    glued: list[list[_Unit]] = []
    introduces = False
    for group in groups:
        body = text[group[0].start : group[-1].end]
        if introduces:
            glued[-1].extend(group)
        else:
            glued.append(list(group))
        introduces = body.rstrip().endswith((":", "：")) or ("\n" not in body and _is_short(group))
    return glued


def _is_short(group: list[_Unit]) -> bool:
    return sum(unit.tokens for unit in group) <= 16


def _units(text: str, block: Block, limit: int, count: CountTokens) -> list[_Unit]:
    """Sentences of prose, lines of everything else; what is too long is cut between words."""
    pattern = _SENTENCE_END if block.kind == "prose" else _LINE_END
    units: list[_Unit] = []
    for start, end in _cut(text, block.start, block.end, pattern):
        tokens = _tokens(text, start, end, limit, count)
        if tokens is not None:
            nested = block.kind == "list" and text[start : start + 2] == "  "
            units.append(_Unit(start, end, tokens, glued=nested))
        else:
            units.extend(_words(text, start, end, limit, count))
    return units


def _cut(text: str, start: int, end: int, pattern: re.Pattern[str]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    at, ink = start, _ink(text, start, end)
    for match in pattern.finditer(text, start, end):
        if pattern is _SENTENCE_END and _ABBREVIATION.search(text, max(at, match.start() - 12), match.start()):
            continue
        if ink < match.end():
            spans.append((at, match.end()))
            at = match.end()
            ink = _ink(text, at, end)
    if ink < end:
        spans.append((at, end))
    return spans


def _ink(text: str, start: int, end: int) -> int:
    """Where the first character that is no blank stands; `end` if there is none."""
    found = _INK.search(text, start, end)
    return found.start() if found else end


def _words(text: str, start: int, end: int, limit: int, count: CountTokens) -> list[_Unit]:
    """Pieces of at most `limit` tokens, cut at spaces where there are any."""
    units: list[_Unit] = []
    while start < end:
        horizon = _horizon(text, start, end, limit, count)
        low, high = start + 1, end
        if horizon < end or count(text[start:end]) > limit:
            while low < high:  # the longest prefix that fits
                middle = (low + high + 1) // 2
                fits = middle < horizon and count(text[start:middle]) <= limit
                low, high = (middle, high) if fits else (low, middle - 1)
            spaces = list(_SPACE.finditer(text, start + 1, low + 1)) if low < end else []
            cut = spaces[-1].end() if spaces else low
        else:
            cut = end
        if text[start:cut].strip():
            units.append(_Unit(start, cut, count(text[start:cut])))
        start = cut
    return units


def _tokens(text: str, start: int, end: int, limit: int, count: CountTokens) -> int | None:
    """How many tokens a span has, or nothing where they are more than `limit`."""
    if _horizon(text, start, end, limit, count) < end:
        return None
    tokens = count(text[start:end])
    return tokens if tokens <= limit else None


def _horizon(text: str, start: int, end: int, limit: int, count: CountTokens) -> int:
    """Where a span that starts at `start` surely is too long; `end` where that is for a count to say.

    What comes after is not looked at: a text of a million words is cut in the time that its pieces take.
    """
    size = _FIRST_LOOK * limit
    while start + size < end:
        if count(text[start : start + size]) > _SURELY * limit:
            return start + size
        size *= 2
    return end


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Without the blanks around, except the indent of a list item."""
    body = text[start:end]
    lead = len(body) - len(body.lstrip())
    return start + lead, start + len(body.rstrip())
