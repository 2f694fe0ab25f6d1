"""A refusal can cost a minute of parsing; the same file is not asked again in the next run."""

import hashlib

from knowledge.contracts import SourceItem, bounded_uri
from knowledge.ingest.changes import PIPELINE_VERSION
from knowledge.ingest.contracts import Refusal
from knowledge.parse.pool import Parsed, ParserPool, Refused
from knowledge.settings import ParseSettings

REFUSALS_VERSION = 1
"""Raised whenever the parsers may take what they refused before: refused files, and only they, are tried again."""


class RememberingParser:
    """The pool, spared the files that earlier runs refused for good."""

    def __init__(self, parser: ParserPool, settings: ParseSettings, refusals: dict[str, Refusal]) -> None:
        self._parser = parser
        self._settings = settings
        self._refusals = refusals

    async def parse(self, item: SourceItem, data: bytes, sha256: str) -> Parsed:
        """As `ParserPool.parse`; a `Refused` carries the verdict under which the record may remember it."""
        verdict = self._verdict(item, sha256)
        before = self._refusals.get(bounded_uri(item.uri))
        if before is not None and before.verdict == verdict:
            raise Refused(before.reason, verdict=verdict)
        try:
            return await self._parser.parse(item.document, data)
        except Refused as fault:
            raise Refused(fault.message, verdict=verdict) from fault

    def _verdict(self, item: SourceItem, sha256: str) -> str:
        """Other bytes, another name, or other limits and parsers: it is tried again."""
        limits = self._settings.model_dump(exclude={"workers", "timeout_s", "files_per_worker"})
        judged = (PIPELINE_VERSION, REFUSALS_VERSION, sha256, item.document, sorted(limits.items()))
        return hashlib.sha256(repr(judged).encode()).hexdigest()
