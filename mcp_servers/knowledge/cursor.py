"""Opaque cursors: where a list goes on, bound to what was asked."""

import base64
import binascii
import hashlib
import json
from typing import Any

from knowledge.contracts import StoredDocument
from signalbox.errors import UserFault


def encode_cursor(position: int | str, question: Any) -> str:
    """A cursor for `position` within the answer to `question` (anything JSON)."""
    raw = json.dumps([position, _digest(question)], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_cursor(cursor: str, question: Any) -> Any:
    """The position; raises `UserFault` when the cursor belongs to another question or is none of ours."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        position, digest = json.loads(raw)
    except (binascii.Error, ValueError, TypeError) as error:
        raise UserFault(
            f"{cursor[:40]!r} is not a cursor.", hint="Leave it out to start anew.", param="cursor"
        ) from error
    if digest != _digest(question):
        raise UserFault("The cursor belongs to another search.", hint="Leave it out to start anew.", param="cursor")
    return position


def name_of(document: StoredDocument) -> str:
    """The position of a document in a list by path and id."""
    return f"{document.document_id}/{document.document}"


def place_of(position: Any) -> tuple[str, str]:
    """Path and id of a `name_of`."""
    document_id, _, path = str(position).partition("/")
    return path, document_id


def _digest(question: Any) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True, default=str).encode()).hexdigest()[:12]
