from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from knowledge.embed.model import ensure_model
from knowledge.service import KnowledgeService
from knowledge.settings import RetrievalSettings
from tests.knowledge.retrieval.helpers import WordEmbedder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The converted model, once for all tests."""
    folder = tmp_path_factory.mktemp("models")
    ensure_model(folder)
    return folder


@pytest.fixture
def data_dir(tmp_path: Path, models: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "models").symlink_to(models)
    return folder


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
async def service(tmp_path: Path, embedder: WordEmbedder) -> AsyncIterator[KnowledgeService]:
    """A service on real SQLite and Chroma, with an embedder that costs nothing."""
    opened = await KnowledgeService.open(RetrievalSettings(), tmp_path / "words", embedder)
    yield opened
    await opened.close()


@pytest.fixture
async def minilm(data_dir: Path) -> AsyncIterator[KnowledgeService]:
    """A service exactly as it runs without a GPU."""
    opened = await KnowledgeService.open(RetrievalSettings(), data_dir)
    yield opened
    await opened.close()
