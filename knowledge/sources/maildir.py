"""A mailbox as a maildir: one file a message, with its folders."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from knowledge.contracts import AccessRule, SourceItem
from signalbox.errors import ToolFault, UserFault

_FLAGS = re.compile(r"[:;!]2,(?P<flags>[A-Za-z]*)$")


class MaildirSource:
    """Every message that is not in the trash. A message stays the same when it is read or flagged."""

    def __init__(
        self,
        path: Path | str,
        *,
        access: AccessRule,
        name: str = "",
        folders: Sequence[str] = (),
        since: datetime | None = None,
        tags: Sequence[str] = (),
        region: str = "",
    ) -> None:
        self._root = Path(path).expanduser().absolute()
        self._name = name or self._root.name
        self._folders = frozenset(folders)
        self._since = since
        self._access, self._tags, self._region = access, tuple(tags), region
        self._paths: dict[str, Path] = {}

    @property
    def name(self) -> str:
        """The source's name in the record."""
        return self._name

    async def items(self) -> AsyncIterator[SourceItem]:
        """One item a message; the inbox is the folder with the empty name."""
        if not await asyncio.to_thread((self._root / "cur").is_dir):
            raise UserFault(f"{str(self._root)!r} is not a maildir: it has no folder 'cur'.", hint="Check the path.")
        for item in await asyncio.to_thread(lambda: list(self._messages())):
            yield item

    async def read(self, item: SourceItem) -> bytes:
        """The message's bytes."""
        try:
            return await asyncio.to_thread(self._paths[item.uri].read_bytes)
        except (KeyError, OSError) as error:
            raise ToolFault("The message was moved while it was read.", retryable=True) from error

    def _messages(self) -> Iterator[SourceItem]:
        self._paths = {}
        for folder, root in self._places():
            for path in sorted([*(root / "cur").iterdir(), *(root / "new").iterdir()], key=lambda path: path.name):
                if path.name.startswith(".") or not path.is_file():
                    continue
                flags = _FLAGS.search(path.name)
                unique = path.name[: flags.start()] if flags else path.name
                stat = path.stat()
                modified = datetime.fromtimestamp(stat.st_mtime, UTC)
                if (flags and "T" in flags["flags"]) or (self._since and modified < self._since):
                    continue
                uri = f"{root.as_uri()}/{unique}"
                self._paths[uri] = path
                yield SourceItem(
                    source=self._name,
                    document=f"{folder}/{unique}.eml".lstrip("/"),
                    uri=uri,
                    fingerprint=f"{unique}:{stat.st_size}",
                    size_bytes=stat.st_size,
                    modified=modified,
                    access=self._access,
                    tags=self._tags,
                    region=self._region,
                )

    def _places(self) -> Iterator[tuple[str, Path]]:
        if not self._folders or "" in self._folders or "INBOX" in self._folders:
            yield "", self._root
        for child in sorted(self._root.iterdir()):
            folder = child.name.removeprefix(".").replace(".", "/")
            if (
                child.name.startswith(".")
                and (child / "cur").is_dir()
                and (not self._folders or folder in self._folders)
            ):
                yield folder, child
