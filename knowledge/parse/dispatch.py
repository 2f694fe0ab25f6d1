"""From bytes to finished documents, inside the worker: sniff, parse, clean, enrich, and the same for what is inside."""

import hashlib
import importlib
from collections.abc import Iterable
from itertools import count
from pathlib import PurePosixPath
from typing import Any

from knowledge.clean import clean_pieces, clean_text
from knowledge.enrich import enrich
from knowledge.parse.draft import Draft, Limits, ParseFault, assemble
from knowledge.parse.sniff import kind_of

_MODULES = {
    "markdown": "markdown",
    "plain": "plain",
    "html": "html",
    "pdf": "pdf",
    "docx": "docx",
    "pptx": "pptx",
    "xlsx": "xlsx",
    "mail": "mail",
    "csv": "delimited",
    "json": "jsontext",
    "zip": "archive",
}
_LIMITED = frozenset({"pdf", "docx", "pptx", "xlsx", "mail", "zip"})
_MAX_PARTS = 2_000


class Reading:
    """One file on its way through; collects its parts, the file itself last."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.parts: list[dict[str, Any]] = []
        self._paths: set[str] = set()
        self._numbers: dict[str, count[int]] = {}

    def read(self, name: str, data: bytes, *, path: str = "", depth: int = 0) -> None:
        """Parse `data` and everything in it; a fault in a part is noted with the part, one in the file is raised."""
        if not data.strip():
            raise ParseFault("It is empty.")
        kind = kind_of(name, data)
        draft = self._draft(kind, name, data)
        paths = self._claim(f"{path}/{part_name}" if path else part_name for part_name, _ in draft.parts)
        for part_path, (part_name, content) in zip(paths, draft.parts, strict=True):
            self._read_part(part_path, part_name, content, depth + 1)
        self.parts.append(
            {
                "path": path,
                "sha256": hashlib.sha256(data).hexdigest(),
                "size_bytes": len(data),
                "document": finish(draft, name, self.limits),
            }
        )

    def _claim(self, wanted: Iterable[str]) -> list[str]:
        """A path for each part that no other part of the file has: its own for the first, a numbered one for others.

        The first of each name come before all numbers, so that a part that really has such a name keeps it.
        """
        names = list(wanted)
        firsts = {name: index for index, name in reversed(list(enumerate(names))) if name not in self._paths}
        self._paths.update(firsts)
        return [name if firsts.get(name) == index else self._numbered(name) for index, name in enumerate(names)]

    def _numbered(self, path: str) -> str:
        folder, slash, name = path.rpartition("/")
        stem, dot, extension = name.rpartition(".")
        if not stem:
            stem, dot, extension = name, "", ""
        numbers = self._numbers.setdefault(path, count(2))
        candidates = (f"{folder}{slash}{stem} ({number}){dot}{extension}" for number in numbers)
        free = next(candidate for candidate in candidates if candidate not in self._paths)
        self._paths.add(free)
        return free

    def _read_part(self, path: str, name: str, data: bytes, depth: int) -> None:
        if len(self.parts) >= _MAX_PARTS:
            raise ParseFault(f"It holds more than {_MAX_PARTS} documents.")
        try:
            if depth > self.limits.max_depth:
                raise ParseFault(f"It is nested more than {self.limits.max_depth} deep.")
            self.read(name, data, path=path, depth=depth)
        except ParseFault as fault:
            self.parts.append({"path": path, "sha256": "", "size_bytes": len(data), "reason": str(fault)})

    def _draft(self, kind: str, name: str, data: bytes) -> Draft:
        parser = importlib.import_module(f"knowledge.parse.{_MODULES[kind]}")
        try:
            return parser.parse(data, name, self.limits) if kind in _LIMITED else parser.parse(data, name)
        except RecursionError as error:
            raise ParseFault("It is nested too deep.") from error


def finish(draft: Draft, name: str, limits: Limits) -> dict[str, Any]:
    """A draft cleaned, assembled and enriched: the fields of `ParsedDocument`."""
    pieces = clean_pieces(draft.pieces)
    if not pieces:
        detail = f" {' '.join(draft.warnings)}" if draft.warnings else ""
        raise ParseFault(f"It holds no text.{detail}")
    if sum(len(piece.text) for piece in pieces) > limits.max_characters:
        raise ParseFault(f"It holds more than {limits.max_characters} characters of text.")
    text, blocks = assemble(pieces)
    known = enrich(pieces, text, title=clean_text(draft.title), stem=PurePosixPath(name).stem, modified=draft.modified)
    return {
        "title": known.title,
        "text": text,
        "blocks": [block.fields() for block in blocks],
        "media_type": draft.media_type,
        "language": known.language,
        "modified": known.modified,
        "authors": [clean_text(author) for author in draft.authors],
        "keywords": list(dict.fromkeys([*map(clean_text, draft.keywords), *known.keywords]))[:20],
        "entities": list(known.entities),
        "summary": known.summary,
        "access": draft.access,
        "warnings": draft.warnings,
    }
