"""E-mail: who wrote to whom and when, the body, and each attachment as a document of its own."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

from knowledge.parse.draft import Draft, Limits, ParseFault
from knowledge.parse.html import parse as parse_html
from knowledge.parse.plain import add_text

_MAX_PARTS = 500


def parse(data: bytes, name: str, limits: Limits) -> Draft:
    """The plain body where there is one, else the HTML one; pictures without a name are left out."""
    message = message_from_bytes(data, policy=default)
    assert isinstance(message, EmailMessage)
    draft = Draft("message/rfc822", title=_header(message, "subject"))
    draft.authors = _names(message, "from")
    draft.modified = _date(message)
    shown = [(field, _header(message, field)) for field in ("from", "to", "cc", "date", "subject")]
    lines = [f"{field.title()}: {value}" for field, value in shown if value]
    draft.add("prose", "\n".join(lines))
    body = message.get_body(preferencelist=("plain", "html"))
    if body is not None:
        _add_body(draft, body)
    for index, part in enumerate(_attachments(message, body)):
        if index >= _MAX_PARTS:
            raise ParseFault(f"It has more than {_MAX_PARTS} attachments.")
        draft.parts.append(part)
    return draft


def _add_body(draft: Draft, body: Any) -> None:
    text = _text(body)
    if body.get_content_type() == "text/html":
        page = parse_html(text.encode("utf-8", "replace"), "body.html")
        draft.pieces.extend(page.pieces)
        draft.warnings.extend(page.warnings)
    else:
        add_text(draft, text.replace("\r\n", "\n"))


def _text(part: Any) -> str:
    try:
        return str(part.get_content())
    except (LookupError, UnicodeError):  # an unknown or wrong charset
        return part.get_payload(decode=True).decode("utf-8", "replace")


def _attachments(message: EmailMessage, body: Any) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for index, part in enumerate(message.walk() if message.is_multipart() else ()):
        if part is body or part is message or (part.is_multipart() and part.get_content_type() != "message/rfc822"):
            continue
        name = part.get_filename()
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload(0)
            found.append((_safe(name or f"message-{index}.eml"), bytes(inner)))  # type: ignore[arg-type]
        elif name and part.get_content_maintype() not in {"image", "audio", "video"}:
            found.append((_safe(name), part.get_payload(decode=True) or b""))  # type: ignore[arg-type]
    return found


def _safe(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", maxsplit=1)[-1].strip() or "attachment"


def _header(message: EmailMessage, field: str) -> str:
    try:
        return " ".join(str(message.get(field, "")).split())
    except (ValueError, IndexError, AttributeError):  # malformed headers break the stdlib parser in several ways
        return ""


def _names(message: EmailMessage, field: str) -> list[str]:
    pairs = getaddresses([_header(message, field)])
    return [name or address for name, address in pairs if name or address]


def _date(message: EmailMessage) -> str | None:
    try:
        return parsedate_to_datetime(_header(message, "date")).isoformat()
    except (ValueError, TypeError, IndexError):
        return None
