"""What answers when there is no GPU: a model like any other behind AutoGen's client interface.

It reads only what the messages hold and is deterministic: the same call has the same result.
Exports: `EmbeddedEngine` (shared), `EmbeddedClient` (one for each call scope), `EmbeddedSettings`.
"""

from inference.embedded.client import EmbeddedClient
from inference.embedded.engine import EmbeddedEngine
from inference.embedded.settings import EmbeddedSettings

__all__ = ["EmbeddedClient", "EmbeddedEngine", "EmbeddedSettings"]
