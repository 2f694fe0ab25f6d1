"""What the knowledge server is told."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from knowledge.settings import KnowledgeSettings


class KnowledgeServerSettings(BaseModel):
    """Where its data lies and how the layer works."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path
    knowledge: KnowledgeSettings = KnowledgeSettings()
