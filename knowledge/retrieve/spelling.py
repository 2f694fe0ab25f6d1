"""Slips of the keyboard: a word that neither the corpus nor the language knows is read as the one it nearly is."""

import re
import string
from collections.abc import Iterator

from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.embed import Vocabulary
from knowledge.index.lexical import LexicalIndex
from knowledge.index.words import STOP_WORDS, stem
from knowledge.store.database import Database, batches

_WORD = re.compile(r"\b[A-Za-z]{5,24}\b(?!['’])")
_MAX_WORDS = 4  # what holds more of them is no question with slips, but in another language or a pasted text


async def corrected(database: Database, lexical: LexicalIndex, vocabulary: Vocabulary, query: str) -> str:
    """The query with its slips of one letter mended: one too many, too few, wrong, or two that changed places.

    Words of the language that the corpus lacks are left alone. The first letter is taken to be right, as it nearly
    always is.
    """
    words = list(dict.fromkeys(word.lower() for word in _WORD.findall(query)))
    known = await vocabulary.known(words) if words else set()
    strange = [word for word in words if word not in known and word not in STOP_WORDS]
    if not strange:
        return query
    async with database.read() as connection:
        held = await _held(connection, lexical, strange)
        strange = [word for word in strange if word not in held]
        if len(strange) > _MAX_WORDS:
            return query
        mended = {word: await _nearest(connection, lexical, vocabulary, word) for word in strange}
    return _WORD.sub(lambda match: mended.get(match[0].lower()) or match[0], query)


async def _nearest(connection: AsyncConnection, lexical: LexicalIndex, vocabulary: Vocabulary, word: str) -> str | None:
    """The word of the corpus that is one slip away: rather one that the language knows, rather a frequent one."""
    held = await _held(connection, lexical, list(dict.fromkeys(_slips(word))))
    known = await vocabulary.known(list(held)) if held else set()
    return max(held, key=lambda variant: (variant in known, held[variant]), default=None)


async def _held(connection: AsyncConnection, lexical: LexicalIndex, words: list[str]) -> dict[str, int]:
    """In how many passages each word occurs in some form; without those that occur in none."""
    stems = {word: stem(word) for word in words}
    counts: dict[str, int] = {}
    for part in batches(dict.fromkeys(stems.values())):
        counts.update(await lexical.frequencies(connection, part))
    return {word: counts[stemmed] for word, stemmed in stems.items() if stemmed in counts}


def _slips(word: str) -> Iterator[str]:
    for at in range(1, len(word) + 1):
        head, tail = word[:at], word[at:]
        for letter in string.ascii_lowercase:
            yield head + letter + tail
            if tail:
                yield head + letter + tail[1:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
