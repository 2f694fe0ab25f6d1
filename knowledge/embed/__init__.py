"""How does text become vectors? `open_embedder` chooses; `embed_passages` makes what a chunk needs.

Exports: `MiniLMEmbedder` (int8 on onnxruntime, from an installed package), `OpenAIEmbedder` (`/v1/embeddings`),
`open_embedder`, `covers` (does it know this language?), `ServiceEmbedder` (the protocol with `close`), `Vocabulary`
(an embedder that knows words from slips).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from knowledge.contracts import Embedder
from knowledge.embed.minilm import MiniLMEmbedder
from knowledge.embed.remote import OpenAIEmbedder
from knowledge.settings import EmbeddingSettings

__all__ = ["MiniLMEmbedder", "OpenAIEmbedder", "ServiceEmbedder", "Vocabulary", "covers", "open_embedder"]


class ServiceEmbedder(Embedder, Protocol):
    """An embedder with a life: it is closed with the service that uses it."""

    async def close(self) -> None:
        """Give back threads and connections."""
        ...


@runtime_checkable
class Vocabulary(Protocol):
    """An embedder that can tell words of its language from letters."""

    async def known(self, words: Sequence[str]) -> set[str]:
        """Those of some lower-case words that it knows as words."""
        ...


def open_embedder(settings: EmbeddingSettings, data_dir: Path) -> MiniLMEmbedder | OpenAIEmbedder:
    """The embedder that the settings name; nothing is loaded before the first text."""
    if settings.engine == "minilm":
        return MiniLMEmbedder(
            data_dir / "models",
            threads=settings.threads,
            batch_texts=settings.batch_texts,
            max_tokens=settings.max_tokens,
        )
    return OpenAIEmbedder.connect(
        settings.base_url,
        settings.model,
        settings.api_key,
        dimensions=settings.dimensions,
        timeout_s=settings.timeout_s,
    )


def covers(embedder: Embedder, language: str) -> bool:
    """Whether the embedder places texts of this language well; unknown languages get the benefit of the doubt."""
    languages: frozenset[str] = getattr(embedder, "languages", frozenset())
    return not languages or language in languages or language == "und"
