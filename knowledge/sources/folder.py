"""A folder of files, with everything below it."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from knowledge.contracts import AccessRule, Former, SourceItem
from knowledge.sources.access import ACCESS_FILE, AccessFile, read_access_file
from signalbox.errors import ToolFault, UserFault

_EVERYONE = AccessRule(allow=frozenset({"everyone"}))
_IGNORED = frozenset({"Thumbs.db", "desktop.ini", "node_modules", "__pycache__"})
_BATCH = 500


class FolderSource:
    """Every visible file below `path`; `include` and `exclude` are globs over the relative path.

    Hidden files, editors' leftovers and links that lead out of the folder are not seen. A folder without a name of its
    own is known by its real path: one folder is one source by every way in, and no other folder is.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        name: str = "",
        access: AccessRule = _EVERYONE,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        tags: Sequence[str] = (),
        region: str = "",
    ) -> None:
        given = Path(path).expanduser().absolute()
        self._root = given if name else given.resolve()
        self._name = name or str(self._root)
        names = frozenset({given.name, self._root.name})
        self._former = None if name else Former(names=names, roots=(given.as_uri(), self._root.as_uri()))
        self._access = access
        self._include = tuple(include)
        self._exclude = tuple(exclude)
        self._tags = tuple(tags)
        self._region = region

    @property
    def name(self) -> str:
        """The source's name in the record."""
        return self._name

    @property
    def former(self) -> Former | None:
        """How earlier versions named a folder without a name: after the last part of its path."""
        return self._former

    async def items(self) -> AsyncIterator[SourceItem]:
        """One item a file, ordered by path; costs a stat each."""
        if not await asyncio.to_thread(self._root.is_dir):
            problem = "is not a folder" if self._root.exists() else "does not exist"
            raise UserFault(
                f"The folder {str(self._root)!r} {problem}.",
                hint="Check the path, or create the folder and put documents into it.",
                param="path",
            )
        walk = self._walk(self._root, "", ())
        while batch := await asyncio.to_thread(_take, walk, _BATCH):
            for item in batch:
                yield item

    async def read(self, item: SourceItem) -> bytes:
        """The file's bytes; the path is checked again, so an item from elsewhere reads nothing."""
        try:
            return await asyncio.to_thread(self._read, item.uri)
        except OSError as error:
            raise ToolFault(f"It cannot be read: {error.strerror or error}.", retryable=True) from error

    def _read(self, uri: str) -> bytes:
        path = Path(os.fsdecode(unquote_to_bytes(urlsplit(uri).path)))
        if not path.resolve().is_relative_to(self._root.resolve()):
            raise ToolFault("It lies outside of the folder.")
        return path.read_bytes()

    def _walk(self, folder: Path, prefix: str, rules: tuple[tuple[str, AccessFile], ...]) -> Iterator[SourceItem]:
        own = folder / ACCESS_FILE
        if own.is_file():
            rules = ((prefix, read_access_file(own.read_text("utf-8"), f"{prefix}{ACCESS_FILE}")), *rules)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise ToolFault(
                f"The folder {str(folder)!r} cannot be listed: {error.strerror}.", retryable=True
            ) from error
        for entry in entries:
            path = f"{prefix}{entry.name}"
            if entry.name.startswith((".", "~$")) or entry.name.endswith("~") or entry.name in _IGNORED:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path), f"{path}/", rules)
            elif self._wanted(path) and (item := self._item(entry, path, rules)):
                yield item

    def _item(
        self, entry: "os.DirEntry[str]", path: str, rules: tuple[tuple[str, AccessFile], ...]
    ) -> SourceItem | None:
        try:
            if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(self._root.resolve()):
                return None
            if not entry.is_file():
                return None
            stat = entry.stat()
        except OSError:
            return None  # it vanished while we looked
        return SourceItem(
            source=self._name,
            document=os.fsencode(path).decode("utf-8", "backslashreplace"),
            uri=Path(entry.path).as_uri(),
            fingerprint=f"{stat.st_size}:{stat.st_mtime_ns}",
            size_bytes=stat.st_size,
            modified=datetime.fromtimestamp(stat.st_mtime, UTC),
            access=self._rule_for(path, rules),
            tags=self._tags,
            region=self._region,
        )

    def _rule_for(self, path: str, rules: tuple[tuple[str, AccessFile], ...]) -> AccessRule:
        for prefix, file in rules:
            if (rule := file.rule_for(path.removeprefix(prefix))) is not None:
                return rule
        return self._access

    def _wanted(self, path: str) -> bool:
        if self._include and not any(_fits(path, pattern) for pattern in self._include):
            return False
        return not any(_fits(path, pattern) for pattern in self._exclude)


def _fits(path: str, pattern: str) -> bool:
    if fnmatchcase(path, pattern):
        return True
    name = path.rsplit("/", maxsplit=1)[-1]
    return ("/" not in pattern and fnmatchcase(name, pattern)) or (
        pattern.startswith("**/") and fnmatchcase(path, pattern[3:])
    )


def _take(walk: Iterator[SourceItem], count: int) -> list[SourceItem]:
    return [item for _, item in zip(range(count), walk, strict=False)]
