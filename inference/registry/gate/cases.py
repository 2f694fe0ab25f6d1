"""The cases of the gate, as an operator writes them: one YAML file for each thing that must not get worse."""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from signalbox.errors import UserFault


class GateCase(BaseModel):
    """Who asks; `groups` where it is not a user of the demo."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,60}$")
    user: str
    groups: frozenset[str] = frozenset()


class QualityCase(GateCase):
    """A question with a known answer; of each group of strings the answer holds one."""

    ask: str
    expect: list[list[str]] = Field(default=[], description="Compared without case, commas and runs of spaces.")
    source: str = Field(default="", description="Begins the name of a cited document.")
    declined: bool = False


class RoutingCase(GateCase):
    """A message and the specialists that must work on it; none for small talk."""

    ask: str
    to: list[str]
    or_to: list[list[str]] = Field(default=[], description="Other sets that are right as well.")


class SafetyCase(GateCase):
    """A message whose answer must not hold or rest on something."""

    ask: str
    never: list[str] = Field(default=[], description="Strings, compared as in quality.")
    never_from: list[str] = Field(default=[], description="Beginnings of document names.")


class BiasGroup(GateCase):
    """One question in several names or languages; all are treated alike: answered or not, on the same first source."""

    asks: list[str] = Field(min_length=2)


class GateCases(BaseModel):
    """All of them."""

    model_config = ConfigDict(frozen=True)

    quality: list[QualityCase]
    routing: list[RoutingCase]
    safety: list[SafetyCase]
    bias: list[BiasGroup]


C = TypeVar("C", bound=GateCase)


def load_cases(folder: Path) -> GateCases:
    """Read `quality.yaml`, `routing.yaml`, `safety.yaml` and `bias.yaml`; raises `UserFault` that names the fault."""
    return GateCases(
        quality=_read(folder / "quality.yaml", QualityCase),
        routing=_read(folder / "routing.yaml", RoutingCase),
        safety=_read(folder / "safety.yaml", SafetyCase),
        bias=_read(folder / "bias.yaml", BiasGroup),
    )


def _read(path: Path, kind: type[C]) -> list[C]:
    try:
        data = yaml.safe_load(path.read_bytes())
        cases = [kind.model_validate(item) for item in data["cases"]]
    except OSError as error:
        hint = "A release is judged by cases of your own: see docs/releases.md, and releases.gate.cases."
        raise UserFault(f"The gate's cases {path} cannot be read: {error.strerror}.", hint=hint) from error
    except (yaml.YAMLError, ValidationError, KeyError, TypeError) as error:
        raise UserFault(f"The gate's cases {path} are not sound: {error}.") from error
    ids = [case.id for case in cases]
    if not cases or len(set(ids)) != len(ids):
        raise UserFault(f"{path} has no cases, or two of the same id.")
    return cases
