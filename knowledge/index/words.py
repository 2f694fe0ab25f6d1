"""Words as both indexes and the ranking see them: lower case, without the small words, stemmed for comparison."""

import re
import unicodedata
from functools import lru_cache

STOP_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "by",
        "ca",  # can't
        "can",
        "could",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "how",
        "i",
        "if",
        "in",
        "is",
        "it",
        "its",
        "me",
        "my",
        "not",
        "of",
        "on",
        "or",
        "our",
        "should",
        "that",
        "the",
        "their",
        "them",
        "there",
        "these",
        "they",
        "this",
        "to",
        "us",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "wo",  # won't
        "would",
        "you",
        "your",
    ]
)
_WORD = re.compile(r"\w+")
_CONTRACTED = re.compile(r"(?<=\w)n['’]t\b|(?<=\w)['’](?:s|re|ve|ll|d|m)\b")
_TOKEN = re.compile(r"[^\W_]+")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LONGEST = 255  # characters of a stem; what is longer is a hash or a mistake


def words(text: str) -> list[str]:
    """Lower-case words without accents, in order; what is contracted ("doesn't", "boss's") is left out."""
    return _WORD.findall(_full(plain(text)))


def plain(text: str) -> str:
    """Lower case, without accents."""
    lowered = text.lower()
    if lowered.isascii():
        return lowered
    return unicodedata.normalize("NFKD", lowered).translate(_accents())


def _full(text: str) -> str:
    return _CONTRACTED.sub("", text) if "'" in text or "’" in text else text


@lru_cache(maxsize=1)
def _accents() -> dict[int, None]:
    """Every combining character, as `str.translate` takes it: ten times as fast as looking at each character."""
    return {code: None for code in range(0x20000) if unicodedata.combining(chr(code))}


def indexed_stems(text: str) -> list[str]:
    """Every word of a text as its stem, in order: what an index that does not stem by itself is given."""
    return [stem(word)[:_LONGEST] for word in _TOKEN.findall(plain(text))]


def query_stems(query: str, limit: int) -> list[str]:
    """Distinct stems of the words of a question that carry meaning."""
    found = (part for word in content_words(query) for part in indexed_stems(word))
    return list(dict.fromkeys(found))[:limit]


def query_substrings(query: str, limit: int) -> list[str]:
    """What a text in another language must hold: words of three letters or more; scripts without spaces in windows."""
    terms: list[str] = []
    for word in content_words(query):
        if _WIDE.search(word):
            terms.extend(word[at : at + 3] for at in range(max(1, len(word) - 2)))
        else:
            terms.append(word)
    return [term for term in dict.fromkeys(terms) if len(term) >= 3][:limit]


def triples_of(text: str) -> list[str]:
    """All letter triples within the words of a text, in order; a dot between words keeps their triples apart."""
    found: list[str] = []
    for word in _WORD.findall(text.lower()):
        found.extend(triples_within(word))
        found.append(".")
    return found


def triples_within(word: str) -> list[str]:
    """The letter triples of one word."""
    return [word[at : at + 3] for at in range(len(word) - 2)]


def content_words(text: str) -> list[str]:
    """Distinct words in order, small words left out unless nothing else is there."""
    found = _WORD.findall(_full(text.lower()))
    return list(dict.fromkeys(word for word in found if word not in STOP_WORDS)) or list(dict.fromkeys(found))


def content_stems(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order, with repeats."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS]


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The stem by Porter's rules, as FTS5's `porter` makes it: it leaves words of two letters alone."""
    if len(word) < 3:
        return word
    return _stemmer().stemWord(word)


@lru_cache(maxsize=1)
def _stemmer():
    import snowballstemmer

    return snowballstemmer.stemmer("porter")
