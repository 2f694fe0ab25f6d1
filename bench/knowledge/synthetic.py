"""Synthetic documents with access rules, and vectors that cost nothing.

Texts are seeded. Words follow Zipf's law; every document has a topic of its own words, so passages have neighbours.
The stand-in embedder hashes words into directions: index and query cost what they cost with a model of 384
dimensions, the model itself is left out. Its vectors vary in 48 directions, as embeddings of texts do: independent
random ones have no neighbourhoods, and no graph finds its way among them.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knowledge.embed.passages import Floats, PassageText, PassageVectors, pack

DIMENSIONS = 384
_LATENT = 48
SETS = 400
GROUPS = 200
_PASSAGES_A_DOCUMENT = 10
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstv" for vowel in "aeio"]


class HashEmbedder:
    """Unit vectors from words: each has a fixed random direction, longer (rarer) words weigh more."""

    name = "hashed-words-1"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self._rows: dict[str, int] = {}
        self._table = np.empty((1 << 15, DIMENSIONS), np.float32)
        self._basis = np.random.default_rng(1).standard_normal((DIMENSIONS, _LATENT)).astype(np.float32)

    async def embed(self, texts: Sequence[str]) -> Floats:
        return np.stack([self._of(text) for text in texts]) if texts else np.empty((0, DIMENSIONS), np.float32)

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[PassageVectors]:
        begun = time.thread_time()
        made = [
            PassageVectors(self._of(passage.whole), pack(np.stack([self._of(text) for text in passage.sentences])))
            for passage in passages
        ]
        self.cpu_s += time.thread_time() - begun
        return made

    async def close(self) -> None:
        pass

    def _of(self, text: str) -> Floats:
        rows = [self._row(word) for word in text.lower().replace(".", " ").split()]
        total = self._table[rows].sum(axis=0) if rows else np.ones(DIMENSIONS, np.float32)
        return total / max(float(np.linalg.norm(total)), 1e-12)

    def _row(self, word: str) -> int:
        row = self._rows.get(word)
        if row is None:
            row = self._rows[word] = len(self._rows)
            if row == len(self._table):
                self._table = np.concatenate([self._table, np.empty_like(self._table)])
            seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
            direction = np.random.default_rng(seed).standard_normal(_LATENT).astype(np.float32)
            self._table[row] = self._basis @ direction * max(0.3, len(word) - 5)
        return row


@dataclass(frozen=True)
class Corpus:
    """A folder of documents, and one question for some of its topics."""

    folder: Path
    documents: int
    questions: list[str]


def write_corpus(folder: Path, passages: int, seed: int = 7) -> Corpus:
    """Markdown files of ten sections each, in one folder for each access set of three groups."""
    chance = np.random.default_rng(seed)
    common = _words(chance, 4_000, (1, 3))
    rare = _words(chance, 60_000, (3, 5))
    zipf = 1 / np.arange(1, len(common) + 1)
    zipf /= zipf.sum()
    documents = max(1, passages // _PASSAGES_A_DOCUMENT)
    questions: list[str] = []
    for number in range(min(SETS, documents)):
        place = folder / f"set-{number:03}"
        place.mkdir(parents=True)
        groups = ", ".join(f"group:g{group:03}" for group in chance.choice(GROUPS, 3, replace=False))
        (place / ".access.yaml").write_text(f'"*": [{groups}]\n')
    for number in range(documents):
        topic = chance.choice(len(rare), 40, replace=False)
        title = f"{rare[topic[0]]} {rare[topic[1]]}".capitalize()
        sections = [_section(chance, common, zipf, [rare[at] for at in topic]) for _ in range(_PASSAGES_A_DOCUMENT)]
        path = folder / f"set-{number % SETS:03}" / f"{number:06}.md"
        path.write_text(f"# {title}\n\n" + "\n\n".join(sections) + "\n")
        if len(questions) < 300 and chance.random() < max(0.02, 300 / documents):
            own = sections[int(chance.integers(len(sections)))].split("\n\n")[1].replace(".", "").split()[::5]
            picked = chance.choice(own, 4, replace=False)
            questions.append(" ".join([*picked, *chance.choice(common, 4, p=zipf)]))
    return Corpus(folder, documents, questions)


def questions_of(folder: Path, count: int = 200, seed: int = 11) -> list[str]:
    """Questions about passages of a corpus that is there already: four words of its topic and four of any."""
    chance = np.random.default_rng(seed)
    paths = sorted(folder.glob("set-*/*.md"))
    questions: list[str] = []
    for at in chance.choice(len(paths), min(count, len(paths)), replace=False):
        sections = paths[at].read_text().split("\n## ")[1:]
        words = sections[int(chance.integers(len(sections)))].split("\n\n")[1].replace(".", "").split()
        questions.append(" ".join([*chance.choice(words[::5], 4), *chance.choice(words, 4)]))
    return questions


def principal_groups(chance: np.random.Generator, count: int) -> frozenset[str]:
    """The groups of a random person."""
    return frozenset(f"g{group:03}" for group in chance.choice(GROUPS, count, replace=False))


def _section(chance: np.random.Generator, common: list[str], zipf: Floats, topic: list[str]) -> str:
    # Passages of real handbooks: median about 75 words, a long tail, sentences of about 16.
    length = int(np.clip(chance.lognormal(4.3, 0.55), 25, 170))
    words = [str(word) for word in chance.choice(common, length, p=zipf)]
    for at in range(0, length, 5):
        words[at] = topic[int(chance.integers(len(topic)))]
    sentences = [" ".join(words[at : at + 16]).capitalize() + "." for at in range(0, length, 16)]
    return f"## {topic[int(chance.integers(8))].capitalize()} {words[1]}\n\n" + " ".join(sentences)


def _words(chance: np.random.Generator, count: int, syllables: tuple[int, int]) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        parts = chance.integers(syllables[0], syllables[1] + 1)
        found["".join(_SYLLABLES[at] for at in chance.integers(len(_SYLLABLES), size=parts))] = None
    return list(found)
