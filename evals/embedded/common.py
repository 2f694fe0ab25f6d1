"""What the scripts share: the embedder of the installed package, kept in the user's cache folder."""

import tempfile
from pathlib import Path

from knowledge.embed import MiniLMEmbedder


def embedder() -> MiniLMEmbedder:
    """MiniLM int8; built once."""
    return MiniLMEmbedder(Path(tempfile.gettempdir()) / "signalbox-evals")
