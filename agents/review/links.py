"""Links and images: only to hosts that the organisation allows or that the answer's own sources lie on.

An image is loaded without a click, so a source may justify a link, but never an image.
"""

import html
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from agents.review.verdict import Surroundings, Verdict, masked

LINK_MASK = "[link removed]"
IMAGE_MASK = "[image removed]"
_INLINE = re.compile(r"(!?)\[([^\]]*)\]\(\s*(<[^>\n]*>|[^)\s]*)([^)]*)\)")
_UNFINISHED = re.compile(r"(!?)\[([^\]]*)\]\([^)]*$")
_UNCLOSED = re.compile(r"\[(?=[^\]]*$)")
_ELEMENTS = (
    "a|applet|area|audio|base|body|button|embed|form|frame|frameset|head|html|iframe|image|img|input|link|map|math|meta|"
    "object|picture|script|source|style|svg|template|textarea|track|video"
)
_ELEMENT = re.compile(rf"<\s*/?\s*(?:(?:{_ELEMENTS})\b[^<>]*>?|[a-z][\w-]*\s+[^<>]*=[^<>]*>?)", re.IGNORECASE)
_BARE = re.compile(
    r"(?:\b[a-z][a-z0-9+.-]{1,20}:)?//[^\s<>\"'`)\]]+"
    r"|\b(?:javascript|data|vbscript|file|blob):[^\s<>\"'`)\]]+"
    r"|\bwww\.[^\s<>\"'`)\]]+",
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_IGNORED_IN_URLS = re.compile(r"[\x00-\x20\x7f]")
_SIGNS = ("<", "[", ":", "//")  # without one of these, or `www.`, there is no element and no link
_HARMLESS = frozenset({"", "mailto", "tel"})


class LinkCheck:
    """Replaces links and images that nothing justifies, and every HTML element that loads or runs something."""

    def __init__(self, allowed_hosts: tuple[str, ...]) -> None:
        self._exact = frozenset(host.lower() for host in allowed_hosts if not host.startswith("*."))
        self._below = tuple(host[1:].lower() for host in allowed_hosts if host.startswith("*."))

    def __call__(self, text: str, around: Surroundings) -> Verdict:
        if not _may_hold_links(text):
            return Verdict("release", text)

        def inline(match: re.Match[str]) -> str:
            image, words, target = match[1], match[2], match[3].strip("<>")
            if image:
                return match[0] if self._image_fits(target) else IMAGE_MASK
            return match[0] if self._fits(target, around.links_to) else f"{words} {LINK_MASK}".strip()

        def bare(match: re.Match[str]) -> str:
            url = match[0].rstrip(".,;:!?*_|")
            return match[0] if self._fits(url, around.links_to) else LINK_MASK + match[0][len(url) :]

        safe = _ELEMENT.sub("", text)
        safe = _INLINE.sub(inline, safe)
        safe = _UNFINISHED.sub(lambda match: IMAGE_MASK if match[1] else match[2], safe)
        safe = _UNCLOSED.sub(r"\\[", safe)
        safe = _BARE.sub(bare, safe)
        return masked(text, safe, "a link that no source justifies")

    def _fits(self, target: str, links_to: Callable[[str], bool]) -> bool:
        url = _plain(target)
        parts = _split(url)
        if parts is None:
            return False
        scheme, host = parts
        if not host:
            return scheme in _HARMLESS and not url.startswith("//")
        return scheme in ("", "http", "https") and (self._allowed(host) or links_to(url))

    def _image_fits(self, target: str) -> bool:
        parts = _split(_plain(target))
        return parts is not None and parts[0] in ("http", "https") and self._allowed(parts[1])

    def _allowed(self, host: str) -> bool:
        return host in self._exact or host.endswith(self._below)


def _may_hold_links(text: str) -> bool:
    for sign in _SIGNS:
        if sign in text:
            return True
    return "www." in text.lower()


def _plain(target: str) -> str:
    """The target as a browser would come to see it: Markdown decodes entities and escapes, URLs drop white space."""
    url = _IGNORED_IN_URLS.sub("", _ESCAPE.sub(r"\1", html.unescape(target))).replace("\\", "/")
    return f"//{url}" if url.lower().startswith("www.") else url


def _split(url: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
        return parts.scheme.lower(), (parts.hostname or "").lower()
    except ValueError:
        return None
