"""How many messages, and how long: bounds of one chat request."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.settings import GatewaySettings
from signalbox.errors import TooLarge


def check_count(messages: Sequence[Any], settings: GatewaySettings) -> None:
    """Raise `TooLarge` for too many."""
    if len(messages) > settings.max_messages:
        raise TooLarge(f"A request takes at most {settings.max_messages} messages.", param="messages")


def check_text(text: str, index: int, settings: GatewaySettings) -> None:
    """Raise `TooLarge` for a text that is too long."""
    if len(text) > settings.max_message_chars:
        raise TooLarge(
            f"A message takes at most {settings.max_message_chars} characters.",
            hint="Ingest long texts as documents instead.",
            param=f"messages[{index}].content",
        )


def check_messages(messages: Sequence[Mapping[str, Any]], settings: GatewaySettings) -> None:
    """Both, for messages in wire form; images count as bytes of the body only."""
    check_count(messages, settings)
    for index, message in enumerate(messages):
        content = message.get("content")
        if isinstance(content, str):
            check_text(content, index, settings)
        elif isinstance(content, list):
            texts = [part.get("text") for part in content if isinstance(part, Mapping)]
            check_text("".join(text for text in texts if isinstance(text, str)), index, settings)
