"""The catalogue: which tables and columns may be read by whom, and the named metrics; YAML, checked whole."""

import re
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mcp_servers.operations.models import ColumnType
from signalbox.errors import UserFault
from signalbox.identity import Principal

DEMO_CATALOGUE = Path(__file__).with_name("metrics.yaml")
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnRule(_Strict):
    """One readable column; `groups` narrows who may read it."""

    type: ColumnType = "text"
    unit: str = ""
    description: str = ""
    groups: frozenset[str] | None = None


class RowFilter(_Strict):
    """Limits the rows of a table to `where`, unless the asker is in one of the groups in `unless`.

    `where` may use the bound parameters :user, :tenant and, with `group_prefix`, the list :values: what stands
    after that prefix in the names of the asker's groups (`region:Iberia` → `Iberia`).
    """

    where: str
    unless: frozenset[str] = frozenset()
    group_prefix: str | None = None
    reason: str

    def binds(self, principal: Principal) -> dict[str, Any]:
        """The values that `where` may refer to."""
        values: dict[str, Any] = {"user": principal.user, "tenant": principal.tenant}
        if self.group_prefix is not None:
            prefix = self.group_prefix
            values["values"] = sorted(g.removeprefix(prefix) for g in principal.groups if g.startswith(prefix))
        return values


class TableRule(_Strict):
    """One readable table."""

    description: str
    columns: dict[str, ColumnRule]
    groups: frozenset[str] | None = None
    rows: tuple[RowFilter, ...] = ()


class Parameter(_Strict):
    """One parameter of a metric. Without `required`, absence means `default`, or no restriction where that is unset."""

    type: Literal["date", "integer", "choice", "text"]
    description: str
    required: bool = False
    default: str | int | None = None
    edge: Literal["start", "end"] = Field(default="start", description="Which day a whole month or year stands for.")
    values: tuple[str, ...] = ()
    values_sql: str | None = Field(default=None, description="SELECT of accepted values; further columns are synonyms.")
    minimum: int | None = None
    maximum: int | None = None
    examples: tuple[str | int, ...] = ()
    default_means: str = Field(default="", description="The default in words, for the schema.")


class Chart(_Strict):
    """Which picture shows the result."""

    mark: Literal["bar", "line", "point"]
    x: str
    y: str
    colour: str | None = None


class OutputColumn(_Strict):
    """What a column of a metric means; its type is known before the query runs."""

    type: ColumnType = "text"
    unit: str = ""
    description: str = ""


class Metric(_Strict):
    """One named, parameterised SELECT."""

    title: str
    topic: str
    description: str
    examples: tuple[str, ...]
    sql: str
    columns: dict[str, OutputColumn]
    summary: str
    summary_empty: str
    summary_one: str = Field(default="", description="Instead of `summary` where there is one row.")
    parameters: dict[str, Parameter] = {}
    groups: frozenset[str] | None = None
    chart: Chart | None = None

    @model_validator(mode="after")
    def _parameters_are_used(self) -> "Metric":
        used = set(re.findall(r"(?<![:\w]):(\w+)", self.sql))
        declared = {*self.parameters, "today"}
        if stray := used - declared:
            raise ValueError(f"the SQL uses parameters that are not declared: {sorted(stray)}")
        if unused := set(self.parameters) - used:
            raise ValueError(f"parameters that the SQL does not use: {sorted(unused)}")
        return self


class Catalogue(_Strict):
    """Everything that may be asked of one database."""

    version: Literal[1]
    name: str
    description: str
    dialect: Literal["sqlite", "postgres"] = "sqlite"
    groups: frozenset[str] = Field(description="Who may use what names no groups of its own.")
    tables: dict[str, TableRule]
    metrics: dict[str, Metric]

    @model_validator(mode="after")
    def _names_are_plain(self) -> "Catalogue":
        columns = [c for t in self.tables.values() for c in t.columns]
        for name in (*self.tables, *self.metrics, *columns):
            if not _NAME.match(name):
                raise ValueError(f"{name!r} is not a plain lower-case name")
        return self

    def allows(self, principal: Principal, groups: frozenset[str] | None) -> bool:
        """Whether the asker is in one of the groups, the catalogue's when none are named."""
        wanted = self.groups if groups is None else groups
        return "everyone" in wanted or bool(wanted & principal.groups)

    def metrics_for(self, principal: Principal) -> dict[str, Metric]:
        """The metrics that exist for this asker."""
        return {name: metric for name, metric in self.metrics.items() if self.allows(principal, metric.groups)}

    def tables_for(self, principal: Principal) -> dict[str, dict[str, ColumnRule]]:
        """The tables and columns that exist for this asker."""
        return {
            name: {
                c: rule
                for c, rule in table.columns.items()
                if rule.groups is None or self.allows(principal, rule.groups)
            }
            for name, table in self.tables.items()
            if self.allows(principal, table.groups)
        }

    def filters_for(self, principal: Principal, table: str) -> tuple[RowFilter, ...]:
        """The row filters that hold for this asker."""
        rule = self.tables.get(table)
        return tuple(f for f in rule.rows if not f.unless & principal.groups) if rule else ()

    @cached_property
    def topics(self) -> list[str]:
        return sorted({metric.topic for metric in self.metrics.values()})


def load_catalogue(path: Path | None = None) -> Catalogue:
    """The catalogue in `path`, or the demo's; raises `UserFault` with the place of the fault."""
    path = path or DEMO_CATALOGUE
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        return Catalogue.model_validate(raw)
    except OSError as error:
        raise UserFault(f"The catalogue {str(path)!r} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise UserFault(f"The catalogue {str(path)!r} is not YAML: {error}.") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise UserFault(f"The catalogue {str(path)!r} does not fit: {faults}.") from error
