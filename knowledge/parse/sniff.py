"""What a file is, by its content; its name only chooses among kinds of text, and must not contradict the content."""

import io
import re
import zipfile
from pathlib import PurePosixPath

from knowledge.parse.draft import ParseFault

_BY_EXTENSION = {
    "pdf": "pdf",
    "docx": "docx",
    "docm": "docx",
    "dotx": "docx",
    "pptx": "pptx",
    "pptm": "pptx",
    "ppsx": "pptx",
    "xlsx": "xlsx",
    "xlsm": "xlsx",
    "zip": "zip",
    "html": "html",
    "htm": "html",
    "xhtml": "html",
    "md": "markdown",
    "markdown": "markdown",
    "mdown": "markdown",
    "eml": "mail",
    "csv": "csv",
    "tsv": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "txt": "plain",
    "text": "plain",
    "log": "plain",
    "rst": "plain",
}
_BINARY = frozenset({"pdf", "docx", "pptx", "xlsx", "zip"})
_OFFICE = (("word/", "docx"), ("ppt/", "pptx"), ("xl/", "xlsx"))
_HEADER_LINE = re.compile(rb"^(?:From |[A-Za-z][A-Za-z0-9-]{1,40}:[ \t]?.*\r?$)", re.M)
_MAIL_FIELDS = (
    b"from:",
    b"to:",
    b"date:",
    b"subject:",
    b"message-id:",
    b"received:",
    b"mime-version:",
    b"return-path:",
)
_HTML = re.compile(
    rb"^(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_NAMES = {
    "docx": "Word document",
    "pptx": "PowerPoint deck",
    "xlsx": "Excel workbook",
    "pdf": "PDF",
    "zip": "ZIP archive",
}


def extension_of(name: str) -> str:
    """What of a name decides how content is read: content that keeps its extension is read as before."""
    return PurePosixPath(name.lower()).suffix.lstrip(".")


def kind_of(name: str, data: bytes) -> str:
    """The format to parse `data` as; raises `ParseFault` when it is unsupported or not what its name says."""
    extension = extension_of(name)
    claimed = _BY_EXTENSION.get(extension)
    found = _binary_kind(data)
    if found is None:
        found = _text_kind(data, claimed)
    if claimed is not None and claimed != found:
        raise ParseFault(
            f"It is named .{extension} but its content is {_article(found)}; rename it or replace it by the real file."
        )
    return found


def _binary_kind(data: bytes) -> str | None:
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(data)
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise ParseFault("It is encrypted with a password; save it without one.")
        raise ParseFault(
            "It is in an old Office format (.doc, .xls, .ppt, .msg); save it as .docx, .xlsx, .pptx or .eml."
        )
    return None


def _zip_kind(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise ParseFault(f"The archive is damaged: {error}.") from error
    if "[Content_Types].xml" not in names:
        return "zip"
    return next((kind for folder, kind in _OFFICE if any(name.startswith(folder) for name in names)), "zip")


def _text_kind(data: bytes, claimed: str | None) -> str:
    head = data[:4096]
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    if not wide and (b"\x00" in data[:65536] or _control_share(head) > 0.1):
        raise ParseFault(f"It is {_describe(data)}, which is not read.")
    if _HTML.match(head):
        return "html" if claimed != "markdown" else "markdown"
    if claimed == "html":  # a fragment, or a page without its first tags
        return "html" if re.search(rb"<[a-z][a-z0-9]*[\s>]", data[:65536], re.I) else "plain"
    if claimed in {None, "mail"} and _is_mail(head):
        return "mail"
    if claimed == "mail":
        return "plain"
    if claimed is None and data.lstrip()[:1] in (b"{", b"["):
        return "json" if _is_json(data) else "plain"
    return claimed if claimed is not None and claimed not in _BINARY else "plain"


def _is_mail(head: bytes) -> bool:
    lines = head.split(b"\n\n")[0].split(b"\r\n\r\n")[0].lower()
    first = lines.split(b"\n", maxsplit=1)[0]
    return bool(_HEADER_LINE.match(first)) and sum(b"\n" + name in b"\n" + lines for name in _MAIL_FIELDS) >= 2


def _is_json(data: bytes) -> bool:
    import json

    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _control_share(head: bytes) -> float:
    control = sum(byte < 9 or 13 < byte < 32 for byte in head)
    return control / max(1, len(head))


def _describe(data: bytes) -> str:
    import puremagic

    try:
        guess = puremagic.from_string(data[:65536], mime=True)
    except (puremagic.PureError, ValueError):
        return "binary data of an unknown kind"
    return f"a file of type {guess}" if guess else "binary data of an unknown kind"


def _article(kind: str) -> str:
    return f"a {_NAMES[kind]}" if kind in _NAMES else {"plain": "plain text", "html": "HTML"}.get(kind, kind)
