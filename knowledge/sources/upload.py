"""Single files that someone hands over."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from urllib.parse import quote

from knowledge.contracts import AccessRule, SourceItem
from signalbox.errors import UserFault


class UploadSource:
    """One uploaded file. What else is known of the source stays: `partial` tells the pipeline so."""

    partial = True

    def __init__(
        self,
        filename: str,
        content: bytes,
        *,
        access: AccessRule,
        name: str = "uploads",
        tags: Sequence[str] = (),
        region: str = "",
    ) -> None:
        document = PurePosixPath(filename.replace("\\", "/")).name
        if not document or document in {".", ".."}:
            raise UserFault(f"{filename!r} is no file name.", param="filename")
        self._name = name
        self._content = content
        owners = hashlib.sha256(repr((sorted(access.allow), sorted(access.deny))).encode()).hexdigest()[:8]
        self._item = SourceItem(
            source=name,
            document=document,
            uri=f"upload://{quote(name)}/{owners}/{quote(document)}",
            fingerprint=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            modified=datetime.now(UTC),
            access=access,
            tags=tuple(tags),
            region=region,
        )

    @property
    def name(self) -> str:
        """The source's name in the record."""
        return self._name

    async def items(self) -> AsyncIterator[SourceItem]:
        """The one file."""
        yield self._item

    async def read(self, item: SourceItem) -> bytes:
        """Its content."""
        return self._content
