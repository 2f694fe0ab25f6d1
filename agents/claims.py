"""Is what an answer cites said by what it cites? Asked for each cited claim, before it is shown."""

import asyncio
from collections.abc import Sequence

import structlog

from agents.evidence import Evidence
from agents.settings import ReviewSettings
from agents.support import Embeds, near, support

_log = structlog.get_logger(__name__)


class ClaimCheck:
    """Compares claims with the passages and results that they cite: figures, names, words; in doubt their meaning."""

    def __init__(self, settings: ReviewSettings, embedder: Embeds | None = None) -> None:
        self._settings = settings
        self._embedder = embedder

    @property
    def drops(self) -> bool:
        """Whether a claim that its source does not support is left out, rather than marked."""
        return self._settings.unsupported == "drop"

    async def holds(self, claim: str, refs: Sequence[str], evidence: Evidence) -> bool:
        """Whether the sources behind `refs` together support the claim. What cannot be checked is not supported."""
        if self._settings.unsupported == "keep":
            return True
        try:
            found = support(claim, [evidence.backing(ref) for ref in refs], least=self._settings.support_words)
            if found.supported and not found.doubtful:
                return True
            close = found.doubtful and await self._is_near(claim, refs, evidence)
        except Exception as error:  # noqa: BLE001 - the gate fails closed, whatever broke
            _log.error("claim.not_checked", error=type(error).__name__)
            return False
        if not close:
            _log.debug("claim.unsupported", refs=list(refs), missing=len(found.missing))
        return close

    async def _is_near(self, claim: str, refs: Sequence[str], evidence: Evidence) -> bool:
        if self._embedder is None:
            return False
        quotes = [quote for quote in (evidence.quote(ref, claim) for ref in refs) if quote]
        if not quotes:
            return False
        try:
            async with asyncio.timeout(self._settings.support_timeout_s):
                return await near(claim, quotes, self._embedder, least=self._settings.support_meaning)
        except TimeoutError:
            return False
