"""Answers for one asker: which metrics and tables exist for them, and what a query comes to."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from mcp_servers.operations.catalogue import Catalogue, ColumnRule, Metric, Parameter
from mcp_servers.operations.models import (
    Cell,
    Column,
    ColumnType,
    MetricInfo,
    MetricList,
    ParameterInfo,
    Table,
    TableInfo,
    TableList,
)
from mcp_servers.operations.parameters import Choices, bind
from mcp_servers.operations.present import evidence, guess_chart, picture, state
from mcp_servers.operations.reader import Limits, Page, Reader, Statement
from mcp_servers.operations.settings import OperationsSettings
from signalbox.errors import UserFault
from signalbox.identity import Principal

if TYPE_CHECKING:
    from mcp_servers.operations.guard import GuardedQuery

_PLACEHOLDER = re.compile(r"(?<![:\w]):(\w+)")
_KEPT_QUERIES = 500
_BOUND = "p_"  # `:from` would be read as the keyword


class OperationsService:
    """The catalogue over a database that can only be read."""

    def __init__(
        self,
        catalogue: Catalogue,
        reader: Reader,
        settings: OperationsSettings,
        choices: Mapping[str, Mapping[str, Choices]],
    ) -> None:
        self.catalogue = catalogue
        self.choices = choices
        self._reader = reader
        self._today = settings.today
        self._guarded: dict[str, GuardedQuery] = {}
        self._limits = Limits(
            timeout_s=settings.statement_timeout_s,
            max_rows=settings.max_rows,
            max_bytes=settings.max_bytes,
            max_cell_chars=settings.max_cell_chars,
        )

    @property
    def today(self) -> date:
        """The day that relative dates count from."""
        return self._today or date.today()

    def list_metrics(self, principal: Principal, topic: str | None) -> MetricList:
        """The metrics that exist for the asker."""
        mine = self.catalogue.metrics_for(principal)
        topics = sorted({metric.topic for metric in mine.values()})
        if topic and topic not in topics:
            raise UserFault(f"There is no topic {topic!r}.", hint=f"Topics: {', '.join(topics)}.", param="topic")
        chosen = {name: m for name, m in mine.items() if not topic or m.topic == topic}
        return MetricList(metrics=[self._describe(name, metric) for name, metric in chosen.items()], topics=topics)

    async def query_metric(self, principal: Principal, query: Mapping[str, Any], cursor: str | None) -> Table:
        """Run one metric; a metric that the asker's groups forbid is unknown to them."""
        name = str(query.get("metric", ""))
        mine = self.catalogue.metrics_for(principal)
        metric = mine.get(name)
        if metric is None:
            # The name is not repeated: one that is forbidden must not come to stand in an answer.
            hint = "The list of metrics shows those that are."
            raise UserFault("This metric does not exist or is not available to you.", hint=hint, param="metric")
        given = {key: value for key, value in query.items() if key != "metric"}
        binds = bind(metric, name, given, self.choices.get(name, {}), self.today)
        absent = frozenset(_BOUND + key for key, value in binds.items() if value is None)
        guarded = self._guard(_PLACEHOLDER.sub(rf":{_BOUND}\1", metric.sql), principal, columns=None, absent=absent)
        offset = read_cursor(cursor, [name, given])
        page = await self._reader.fetch(
            Statement(sql=guarded.sql, binds=self._typed(metric, binds) | guarded.binds, reads=None, offset=offset),
            self._limits,
        )
        columns = [
            Column(name=key, type=c.type, unit=c.unit, description=c.description) for key, c in metric.columns.items()
        ]
        if tuple(metric.columns) != page.names:
            columns = _columns_of(
                page, {key: ColumnRule(type=c.type, unit=c.unit) for key, c in metric.columns.items()}
            )
        rows = _rows(page)
        summary = state(metric, columns, rows, binds, more=page.more or offset > 0)
        asked = {key: value for key, value in binds.items() if key != "today"}
        return Table(
            title=metric.title,
            summary=summary,
            columns=columns,
            rows=rows,
            row_count=len(rows),
            truncated=page.more,
            next_cursor=write_cursor(offset + len(rows), [name, given]) if page.more else None,
            sql=_fill_in(guarded.shown, binds),
            chart=picture(metric.chart, metric.title, columns, rows),
            evidence=[
                evidence(
                    name=name,
                    title=metric.title,
                    summary=summary,
                    columns=columns,
                    rows=rows,
                    asked=asked,
                    modified=self.today.isoformat(),
                )
            ],
        )

    def describe_tables(self, principal: Principal) -> TableList:
        """The tables and columns that exist for the asker."""
        tables = []
        for name, columns in self.catalogue.tables_for(principal).items():
            limited = "; ".join(f.reason for f in self.catalogue.filters_for(principal, name))
            shown = [
                Column(name=c, type=rule.type, unit=rule.unit, description=rule.description)
                for c, rule in columns.items()
            ]
            tables.append(
                TableInfo(
                    table=name,
                    description=self.catalogue.tables[name].description,
                    columns=shown,
                    rows_limited_to=limited,
                )
            )
        return TableList(dialect=self.catalogue.dialect, today=self.today.isoformat(), tables=tables)

    async def run_select(self, principal: Principal, sql: str, cursor: str | None) -> Table:
        """Run a SELECT that a model wrote, within what the asker may read."""
        columns = self.catalogue.tables_for(principal)
        guarded = self._guard(sql, principal, columns=columns)
        offset = read_cursor(cursor, [sql])
        page = await self._reader.fetch(
            Statement(sql=guarded.sql, binds=guarded.binds, reads=guarded.reads, offset=offset), self._limits
        )
        meanings: dict[str, ColumnRule] = {name: rule for name, rule in guarded.outputs if rule is not None}
        if not guarded.outputs:  # SELECT *
            for table in guarded.tables:
                meanings |= columns[table]
        described = _columns_of(page, meanings)
        rows = _rows(page)
        tables = sorted(guarded.tables)
        name = tables[0] if len(tables) == 1 else "query"
        title = f"Query of {', '.join(tables)}" if tables else "Query"
        summary = _say(rows, described, more=page.more, start=offset)
        return Table(
            title=title,
            summary=summary,
            columns=described,
            rows=rows,
            row_count=len(rows),
            truncated=page.more,
            next_cursor=write_cursor(offset + len(rows), [sql]) if page.more else None,
            sql=guarded.shown,
            chart=picture(guess_chart(described, rows), title, described, rows),
            evidence=[
                evidence(
                    name=name,
                    title=title,
                    summary=summary,
                    columns=described,
                    rows=rows,
                    asked={"sql": guarded.shown},
                    modified=self.today.isoformat(),
                )
            ],
        )

    async def close(self) -> None:
        """Close the database."""
        await self._reader.close()

    def _guard(
        self,
        sql: str,
        principal: Principal,
        *,
        columns: Mapping[str, Mapping[str, ColumnRule]] | None,
        absent: frozenset[str] = frozenset(),
    ) -> "GuardedQuery":
        from mcp_servers.operations.guard import Access, guard  # sqlglot: 0.1 s that the start need not pay

        filters = {
            table: tuple((rule, rule.binds(principal)) for rule in self.catalogue.filters_for(principal, table))
            for table in self.catalogue.tables
        }
        read = self.catalogue.dialect
        known = repr((sql, sorted(absent), filters)) if columns is None else None
        if known is not None and known in self._guarded:
            return self._guarded[known]
        guarded = guard(
            sql, Access(columns=columns, filters=filters), read=read, write=self._reader.dialect, absent=absent
        )
        if known is not None:
            if len(self._guarded) >= _KEPT_QUERIES:
                self._guarded.clear()
            self._guarded[known] = guarded
        return guarded

    def _typed(self, metric: Metric, binds: Mapping[str, Any]) -> dict[str, Any]:
        kinds = {key: parameter.type for key, parameter in metric.parameters.items()} | {"today": "date"}
        return {
            _BOUND + key: date.fromisoformat(value) if kinds[key] == "date" and value else value
            for key, value in binds.items()
        }

    def _describe(self, name: str, metric: Metric) -> MetricInfo:
        known = self.choices.get(name, {})

        def info(key: str, parameter: Parameter) -> ParameterInfo:
            values = known[key].values if key in known else ()
            words = f" Default: {parameter.default_means}." if parameter.default_means else ""
            return ParameterInfo(
                name=key,
                type=parameter.type,
                required=parameter.required,
                description=parameter.description + words,
                values=list(values[:60]),
            )

        return MetricInfo(
            metric=name,
            title=metric.title,
            topic=metric.topic,
            description=metric.description,
            examples=list(metric.examples),
            parameters=[info(key, parameter) for key, parameter in metric.parameters.items()],
        )


def read_cursor(cursor: str | None, asked: Any) -> int:
    """The row to go on from; a cursor belongs to the query that gave it."""
    if not cursor:
        return 0
    try:
        body = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=="))
        offset, digest = int(body["o"]), str(body["q"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserFault("The cursor is not one of ours.", hint="Pass next_cursor unchanged.", param="cursor") from error
    if digest != _digest(asked) or not 0 <= offset <= 1_000_000:
        raise UserFault("The cursor belongs to another query.", hint="Ask without a cursor first.", param="cursor")
    return offset


def write_cursor(offset: int, asked: Any) -> str:
    """An opaque cursor for the rows after `offset`."""
    return base64.urlsafe_b64encode(json.dumps({"o": offset, "q": _digest(asked)}).encode()).decode().rstrip("=")


def _digest(asked: Any) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _rows(page: Page) -> list[dict[str, Cell]]:
    return [dict(zip(_unique(page.names), row, strict=True)) for row in page.rows]


def _unique(names: tuple[str, ...]) -> list[str]:
    made: list[str] = []
    for name in names:
        number, candidate = 2, name
        while candidate in made:
            candidate, number = f"{name}_{number}", number + 1
        made.append(candidate)
    return made


def _columns_of(page: Page, meanings: Mapping[str, ColumnRule]) -> list[Column]:
    made = []
    for index, name in enumerate(_unique(page.names)):
        rule = meanings.get(name)
        values = [row[index] for row in page.rows if row[index] is not None]
        made.append(Column(name=name, type=_type_of(values, rule), unit=rule.unit if rule else ""))
    return made


def _type_of(values: list[Cell], rule: ColumnRule | None) -> ColumnType:
    if values and all(isinstance(v, bool) for v in values):
        return "boolean"
    if values and all(isinstance(v, int) for v in values):
        return "integer"
    if values and all(isinstance(v, (int, float)) for v in values):
        return "number"
    if rule is not None and rule.type == "date":
        return "date"
    return "text" if values or rule is None else rule.type


def _say(rows: list[dict[str, Cell]], columns: list[Column], *, more: bool, start: int) -> str:
    from mcp_servers.operations.present import show

    if not rows:
        return "The query found no rows." if not start else "There are no further rows."
    if len(rows) == 1 and not more and not start:
        return "; ".join(f"{c.name.replace('_', ' ')}: {show(rows[0][c.name], c.unit)}" for c in columns) + "."
    first = ", ".join(f"{c.name.replace('_', ' ')} {show(rows[0][c.name], c.unit)}" for c in columns[:4])
    return f"The query found {'more than ' if more else ''}{start + len(rows)} rows; the first here: {first}."


def _fill_in(sql: str, binds: Mapping[str, Any]) -> str:
    def literal(match: re.Match[str]) -> str:
        value = binds[match[1] or match[2]]
        if value is None:
            return "NULL"
        return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"

    return re.sub(rf":{_BOUND}(\w+)|%\({_BOUND}(\w+)\)s", literal, sql)
