"""From bytes to finished documents, inside the worker: sniff, parse, clean, enrich, and the same for what is inside."""

import hashlib
import importlib
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

    def read(self, name: str, data: bytes, *, path: str = "", depth: int = 0) -> None:
        """Parse `data` and everything in it; a fault in a part is noted with the part, one in the file is raised."""
        if not data.strip():
            raise ParseFault("It is empty.")
        kind = kind_of(name, data)
        draft = self._draft(kind, name, data)
        for part_name, content in draft.parts:
            self._read_part(f"{path}/{part_name}" if path else part_name, part_name, content, depth + 1)
        self.parts.append(
            {
                "path": path,
                "sha256": hashlib.sha256(data).hexdigest(),
                "size_bytes": len(data),
                "document": finish(draft, name, self.limits),
            }
        )

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
