"""Which conversations a canary gets: always the same ones, and the more the larger its share."""

import hashlib


def takes(release: str, conversation_id: str, share: float) -> bool:
    """Whether the canary answers in this conversation; another canary gets other conversations."""
    digest = hashlib.sha256(f"{release}\x1f{conversation_id}".encode()).digest()
    return int.from_bytes(digest[:8]) < share * 2**64
