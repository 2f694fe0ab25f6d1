"""What a release consists of: its files by hash, and its tools by pin."""

import hashlib
from datetime import datetime
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from signalbox.errors import UserFault

ReleaseName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,60}$")]
FileName = Annotated[
    str, StringConstraints(pattern=r"^(parameters\.yaml|policy\.yaml|prompts/[A-Za-z0-9_-]{1,60}\.md)$")
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

PARAMETERS = "parameters.yaml"
POLICY = "policy.yaml"


class Manifest(BaseModel):
    """`manifest.yaml`: models and parameters, policy and prompts are files beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: ReleaseName
    created_at: datetime
    made_from: str = Field(description="The release that was in force when this one was made.")
    signalbox: str = Field(description="The version of Signalbox that made it.")
    note: str = ""
    files: dict[FileName, Sha256]
    tools: dict[str, str] = Field(default={}, description="The pin of every admitted tool.")

    def to_yaml(self) -> bytes:
        """As it is kept: sorted where order means nothing, so that two releases can be compared line by line."""
        data = self.model_dump(mode="json")
        data["files"], data["tools"] = dict(sorted(self.files.items())), dict(sorted(self.tools.items()))
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120).encode()

    @classmethod
    def from_yaml(cls, data: bytes, where: str) -> "Manifest":
        """Read one; raises `UserFault` that names the fault."""
        try:
            return cls.model_validate(yaml.safe_load(data))
        except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
            raise UserFault(f"{where} is no manifest of a release: {error}.") from error


def sha256(data: bytes) -> str:
    """The hash by which a file is named in a manifest."""
    return hashlib.sha256(data).hexdigest()
