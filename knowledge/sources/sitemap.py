"""Sitemaps: which addresses a site lists, and where it lists more.

They come from outside and are read in our own process, so: nothing is expanded or loaded, no tree is built, and size,
depth (by the parser itself) and number of elements are bounded.
"""

import gzip
import re
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Literal, cast

from signalbox.errors import ToolFault

_MAX_BYTES = 50_000_000
"""What the protocol (sitemaps.org) allows, unpacked."""
_MAX_ELEMENTS = 1_000_000
"""Twenty for each of the 50,000 addresses that the protocol allows."""
_MAX_ADDRESS = 8_000
_STEP = 1_000_000
Kind = Literal["url", "sitemap"]
_KINDS: dict[str, Kind] = {"url": "url", "sitemap": "sitemap"}
_BARE_AMPERSAND = re.compile(rb"&(?!#?\w{1,31};)")


@dataclass(frozen=True, slots=True)
class Entry:
    """A page (`url`) or a further sitemap; `lastmod` as it is written there."""

    kind: Kind
    address: str
    lastmod: str


def read_sitemap(url: str, body: bytes) -> list[Entry]:
    """The entries of a sitemap or of an index of sitemaps, packed by gzip or not; raises `ToolFault`.

    It takes its time: call it in a thread.
    """
    from lxml.etree import XMLSyntaxError

    body = _unpacked(url, body)
    try:
        try:
            return _parsed(url, body)
        except XMLSyntaxError:
            mended = _BARE_AMPERSAND.sub(b"&amp;", body, count=_MAX_ELEMENTS)  # many sites write addresses as they are
            return _parsed(url, mended)
    except XMLSyntaxError as error:
        raise ToolFault(f"The sitemap {url!r} is no XML that can be read: {error.msg}.") from error


def _unpacked(url: str, body: bytes) -> bytes:
    if body.startswith(b"\x1f\x8b"):
        try:
            with gzip.GzipFile(fileobj=BytesIO(body)) as packed:
                body = packed.read(_MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ToolFault(f"The sitemap {url!r} is damaged.") from error
    if len(body) > _MAX_BYTES:
        raise ToolFault(f"The sitemap {url!r} is larger than {_MAX_BYTES // 1_000_000} MB; let the site split it.")
    return body


def _parsed(url: str, body: bytes) -> list[Entry]:
    from lxml.etree import XMLParser

    reader = _Reader(url)
    parser = XMLParser(
        target=reader, resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, recover=False
    )
    for at in range(0, len(body), _STEP):
        parser.feed(body[at : at + _STEP])
    return cast("list[Entry]", parser.close())


class _Reader:
    """Takes the parser's events: `loc` and `lastmod` count where they stand directly in `url` or `sitemap`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._path: list[str] = []
        self._elements = 0
        self._said: dict[str, str] = {}
        self._words: list[str] = []
        self._length = 0
        self._entries: list[Entry] = []

    def doctype(self, *_declared: object) -> None:
        raise ToolFault(f"The sitemap {self._url!r} declares a document type, which is refused.")

    def start(self, tag: str, _attributes: object) -> None:
        self._elements += 1
        if self._elements > _MAX_ELEMENTS:
            raise ToolFault(f"The sitemap {self._url!r} has more than {_MAX_ELEMENTS:,} elements.")
        self._path.append(tag.rpartition("}")[2].lower())
        self._words, self._length = [], 0
        if self._path[-1] in _KINDS:
            self._said = {}

    def data(self, words: str) -> None:
        if self._path[-1] in {"loc", "lastmod"}:
            self._words.append(words)
            self._length += len(words)
            if self._length > _MAX_ADDRESS:
                raise ToolFault(f"The sitemap {self._url!r} has an address of more than {_MAX_ADDRESS:,} characters.")

    def end(self, _tag: str) -> None:
        name = self._path.pop()
        parent = self._path[-1] if self._path else ""
        if name in {"loc", "lastmod"} and parent in _KINDS:
            self._said.setdefault(name, "".join(self._words).strip())
        elif (kind := _KINDS.get(name)) and self._said.get("loc"):
            self._entries.append(Entry(kind, self._said["loc"], self._said.get("lastmod", "")))
            self._said = {}

    def close(self) -> list[Entry]:
        return self._entries
