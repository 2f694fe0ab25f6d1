"""Marks inside a line of Markdown: links, emphasis, code, HTML; what remains is what a reader sees."""

import html
import re

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
_SILENT = re.compile(r"<(script|style|template|noscript|iframe|svg)\b[^>]*>.*?(?:</\1\s*>|\Z)", re.S | re.I)
_HIDDEN = re.compile(
    r"<([a-z][a-z0-9]*)\b(?=[^>]*(?:\shidden(?=[\s>=])|display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])"
    r"|opacity\s*:\s*0(?![.\d])))[^>]*>",
    re.I,
)
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
_IMAGE = re.compile(r"!\[([^\]]*)\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\])")
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
_REFERENCE = re.compile(r"\[([^\[\]]+)\]\[[^\[\]]*\]")
_FOOTNOTE = re.compile(r"\[\^[^\]]+\]:?")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^>\s]+|[\w.+-]+@[\w-]+\.[\w.-]+)>")
_BREAK = re.compile(r"<br\s*/?>", re.I)
_TAG = re.compile(
    r"</?(?:a|abbr|article|aside|b|blockquote|button|caption|center|cite|code|dd|del|details|dfn|div|dl|dt|em|figcaption"
    r"|figure|font|footer|form|h[1-6]|header|hr|i|img|input|ins|kbd|label|li|main|mark|nav|ol|p|pre|q|s|samp|section|small"
    r"|source|span|strike|strong|sub|summary|sup|table|tbody|td|tfoot|th|thead|tr|tt|u|ul|var|video|wbr)\b[^<>]*>",
    re.I,
)
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", re.S)
_EMPHASIS = re.compile(
    r"(?<![\w*])\*(?=[^\s*])(.+?)(?<=[^\s*])\*(?![\w*])|(?<![\w_])_(?=[^\s_])(.+?)(?<=[^\s_])_(?![\w_])"
)
_STRIKE = re.compile(r"~~(?=\S)(.+?)(?<=\S)~~")
_LEFT_OVER = re.compile(r"\[([^\[\]]*)\]\(\s*\)|(?<!\w)\*\*|\*\*(?!\w)")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def strip_hidden_html(text: str) -> str:
    """Without comments, scripts and elements that a browser would not show."""
    if "<" not in text:
        return text
    text = _SILENT.sub("", _COMMENT.sub("", text))
    while match := _HIDDEN.search(text):
        end = _end_of_element(text, match)
        text = text[: match.start()] + text[end:]
    return text


def _end_of_element(text: str, opening: re.Match[str]) -> int:
    if opening[0].endswith("/>") or opening[1].lower() in {"img", "input", "br", "hr", "source"}:
        return opening.end()
    depth = 1
    for tag in re.finditer(rf"<(/?){opening[1]}\b[^>]*?(/?)>", text[opening.end() :], re.I):
        depth += -1 if tag[1] else 0 if tag[2] else 1
        if depth == 0:
            return opening.end() + tag.end()
    return len(text)


def plain(text: str) -> str:
    """The words of a line of Markdown."""
    if not any(mark in text for mark in "*_`[<\\&~!"):
        return " ".join(text.split())
    codes: list[str] = []

    def keep(content: str) -> str:
        codes.append(content)
        return f"\x00{len(codes) - 1}\x00"

    text = _CODE.sub(lambda match: keep(match[2].strip()), text)
    text = _ESCAPE.sub(lambda match: keep(match[1]), text)
    text = _IMAGE.sub(lambda match: match[1], text)
    text = _AUTOLINK.sub(lambda match: keep(match[1].removeprefix("mailto:")), text)
    for _ in range(2):  # a link around an image
        text = _LINK.sub(_words_of_link, text)
    text = _REFERENCE.sub(lambda match: match[1], text)
    text = _FOOTNOTE.sub("", text)
    text = _TAG.sub("", _BREAK.sub(" ", text))
    for _ in range(2):  # strong inside emphasis and the other way round
        text = _STRONG.sub(lambda match: match[2], text)
        text = _EMPHASIS.sub(lambda match: match[1] or match[2], text)
    text = _STRIKE.sub(lambda match: match[1], text)
    text = html.unescape(text)
    while re.search(r"\x00\d+\x00", text):  # an escape inside of code inside of a link
        text = re.sub(r"\x00(\d+)\x00", lambda match: codes[int(match[1])], text)
    text = _LEFT_OVER.sub(lambda match: match[1] or "", text)
    return " ".join(text.split())


def _words_of_link(match: re.Match[str]) -> str:
    words, target = match[1], match[2].strip()
    if target.startswith("mailto:"):
        address = target.removeprefix("mailto:").split("?", maxsplit=1)[0]
        return words if address in words else f"{words} ({address})"
    return words or (target.split()[0] if target.startswith("http") else "")
