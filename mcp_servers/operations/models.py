"""What the tools of the operations server return (docs/contracts.md, Tables)."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mcp_servers.evidence import Evidence

ColumnType = Literal["text", "integer", "number", "date", "boolean"]
Cell = str | int | float | bool | None


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Column(_Frozen):
    """One column of a result or of a table."""

    name: str
    type: ColumnType
    unit: str = Field(default="", description="EUR, days, %, packs, …; empty for plain text and counts of rows.")
    description: str = ""


class Table(_Frozen):
    """A typed result, the SQL that it came from, and one sentence that states it."""

    title: str
    summary: str = Field(description="The result in one sentence, computed from the rows.")
    columns: list[Column]
    rows: list[dict[str, Cell]]
    row_count: int = Field(description="Rows in this page.")
    truncated: bool = Field(description="True when there are more rows than these; ask again with next_cursor.")
    next_cursor: str | None = None
    sql: str = Field(description="What ran, as the source of the figures.")
    chart: dict[str, Any] | None = Field(
        default=None, description="A Vega-Lite specification where a picture says more."
    )
    evidence: list[Evidence]


class ParameterInfo(_Frozen):
    """One parameter of a metric."""

    name: str
    type: str
    required: bool
    description: str
    values: list[str] = []


class MetricInfo(_Frozen):
    """One metric that may be asked."""

    metric: str
    title: str
    topic: str
    description: str
    examples: list[str]
    parameters: list[ParameterInfo]


class MetricList(_Frozen):
    """The metrics that this asker may query."""

    metrics: list[MetricInfo]
    topics: list[str]


class TableInfo(_Frozen):
    """One table that may be read with `run_select`."""

    table: str
    description: str
    columns: list[Column]
    rows_limited_to: str = Field(default="", description="Set when this asker sees only some rows.")


class TableList(_Frozen):
    """The tables that this asker may read, and the SQL dialect to write."""

    dialect: str
    today: str
    tables: list[TableInfo]
