"""What is new, changed, moved or gone, told from what the record remembers."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from knowledge.contracts import AccessRule, SourceItem, bounded_uri, document_id_of
from knowledge.ingest.contracts import KnownDocument, Refusal
from knowledge.settings import IngestSettings
from knowledge.sources.access import narrow

PIPELINE_VERSION = 2
"""Raised whenever the same bytes would now give other text or passages: everything is then taken again."""

_PART = "#/"


def part_uri(uri: str, path: str) -> str:
    """Where a part of a file is, such as an attachment; the file itself for an empty path."""
    return f"{uri}{_PART}{quote(path)}" if path else uri


def file_of(uri: str) -> str:
    """The file in a folder that a uri names or lies in; other sources may have the mark in uris of their own."""
    return uri.split(_PART, maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class Stamp:
    """The fingerprint that the record keeps: the item's own, how it was processed, and how it was labelled."""

    item: str
    pipeline: str
    labels: str

    def __str__(self) -> str:
        return f"{self.item}|{self.pipeline}|{self.labels}"

    @classmethod
    def of(cls, item: SourceItem, settings: IngestSettings) -> "Stamp":
        """The stamp that an item would get now."""
        pipeline = _digest(PIPELINE_VERSION, settings.chunk.max_tokens, settings.parse.ocr, settings.parse.macros)
        labels = _digest(sorted(item.access.allow), sorted(item.access.deny), item.tags, item.region)
        return cls(item.fingerprint, pipeline, labels)

    @classmethod
    def read(cls, text: str) -> "Stamp":
        """The stamp in a record's fingerprint; a foreign one equals none."""
        item, pipeline, labels = text.rsplit("|", 2) if text.count("|") >= 2 else (text, "", "")
        return cls(item, pipeline, labels)


class Inventory:
    """What the record knows of one source, set against what the source has now."""

    def __init__(
        self,
        known: dict[str, KnownDocument],
        items: Iterable[SourceItem],
        tenant: str,
        refusals: dict[str, Refusal],
    ) -> None:
        self._known = dict(known)
        self._tenant = tenant
        self._parts: dict[str, list[str]] = {}
        self._ids = {document.document_id: uri for uri, document in known.items()}
        present = {item.uri: item.document for item in items}
        missing: list[str] = []
        for uri in sorted(known):
            if uri in present:
                continue
            if root := self._root_of(uri, present):
                self._parts.setdefault(root, []).append(uri)
            else:
                missing.append(uri)
        self._refused = self._refused_parts(refusals)
        self._missing = {uri: known[uri] for uri in missing}
        self._by_content: dict[str, list[str]] = {}
        for uri, document in self._missing.items():
            self._by_content.setdefault(document.content_sha256, []).append(uri)

    def get(self, uri: str) -> KnownDocument | None:
        """What is known of a file."""
        return self._known.get(uri)

    def tree(self, uri: str) -> dict[str, KnownDocument]:
        """A file and its parts, by uri, as far as they are known."""
        uris = [*self._parts.get(uri, ()), uri]
        return {known: self._known[known] for known in uris if known in self._known}

    def adopt_moved(self, uri: str, content_sha256: str, pipeline: str) -> None:
        """Where a file with this content is gone from elsewhere, it and its parts are known under `uri` from now on."""
        for old in self._by_content.get(content_sha256, ()):
            document = self._missing.get(old)
            if document is not None and Stamp.read(document.fingerprint).pipeline == pipeline:
                del self._missing[old]
                self._rename(old, uri)
                return

    def refused_in(self, uri: str) -> list[tuple[str, str]]:
        """Paths of the parts of a file that were refused when it was last read, and why."""
        return self._refused.get(uri, [])

    def is_whole(self, uri: str) -> bool:
        """Whether a file and its parts come from one reading; a run that died may have renewed some of them."""
        return len({document.fingerprint for document in self.tree(uri).values()}) == 1

    def closed(self, items: Iterable[SourceItem]) -> dict[str, AccessRule]:
        """Documents that their source now opens to fewer people than so far, with its rule, by id."""
        return {
            document.document_id: item.access
            for item in items
            for document in self.tree(item.uri).values()
            if narrow(document.access, item.access) != document.access
        }

    def gone(self) -> list[str]:
        """Files that were neither found nor moved."""
        return list(self._missing)

    def id_for(self, uri: str) -> str:
        """The document's id: as it was, or a new one; never that of a document that has moved away from here."""
        if uri in self._known:
            return self._known[uri].document_id
        attempt = 0
        while True:
            document_id = document_id_of(self._tenant, uri if attempt == 0 else f"{uri}\n{attempt}")
            if self._ids.setdefault(document_id, uri) == uri:
                return document_id
            attempt += 1

    def _refused_parts(self, refusals: dict[str, Refusal]) -> dict[str, list[tuple[str, str]]]:
        """What was refused in which file: a part has its file's uri and path before its own."""
        found: dict[str, list[tuple[str, str]]] = {}
        files: dict[str, list[str]] = {}
        for uri, document in self._known.items():
            files.setdefault(document.document, []).append(uri)
        for key, entry in refusals.items():
            for slash in (index for index, letter in enumerate(entry.document) if letter == "/"):
                path = entry.document[slash + 1 :]
                for uri in files.get(entry.document[:slash], ()):
                    if bounded_uri(part_uri(uri, path)) == key:
                        found.setdefault(uri, []).append((path, entry.reason))
        return found

    def _rename(self, old: str, new: str) -> None:
        self._refused[new] = self._refused.pop(old, [])
        for uri in [*self._parts.pop(old, ()), old]:
            name = new + uri.removeprefix(old)
            self._known[name] = self._known.pop(uri)
            self._ids[self._known[name].document_id] = name
            if uri != old:
                self._parts.setdefault(new, []).append(name)

    def _root_of(self, uri: str, present: dict[str, str]) -> str:
        """The file that a part is in, or nothing: a source may well have uris of its own that look like a part's."""
        root, _, path = uri.rpartition(_PART)
        names = {present.get(root), self._known[root].document if root in self._known else None} - {None}
        return root if any(self._known[uri].document == f"{name}/{unquote(path)}" for name in names) else ""


def _digest(*values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:12]
