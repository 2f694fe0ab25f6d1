from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

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


# The first test that needs PostgreSQL waits until it runs, which takes seconds on a busy machine.
@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.timeout(60))])
def record_url(request: pytest.FixtureRequest) -> str:
    """The record's database: the default, and a PostgreSQL of its own."""
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture(params=["sqlite", "tantivy", pytest.param("postgresql", marks=pytest.mark.timeout(60))])
async def service(
    request: pytest.FixtureRequest, tmp_path: Path, embedder: WordEmbedder
) -> AsyncIterator[KnowledgeService]:
    """A service on a real database, real indexes, and an embedder that costs nothing."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    words = "tantivy" if request.param == "tantivy" else "auto"
    settings = RetrievalSettings(database_url=SecretStr(url), words=words)
    opened = await KnowledgeService.open(settings, tmp_path / "words", embedder)
    yield opened
    await opened.close()


@pytest.fixture
async def minilm(data_dir: Path) -> AsyncIterator[KnowledgeService]:
    """A service exactly as it runs without a GPU."""
    opened = await KnowledgeService.open(RetrievalSettings(), data_dir)
    yield opened
    await opened.close()
