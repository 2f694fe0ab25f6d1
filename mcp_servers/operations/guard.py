"""Turns SQL that somebody wrote into SQL that can only read what its asker may read.

The statement is parsed, checked against a closed list of syntax and functions, and rebuilt: every table becomes a
subquery of its permitted columns and rows, every common table expression gets a name that no real table has. What a
scope mistake could reach therefore does not exist, instead of being forbidden. The database's own guards (read-only
connection, authoriser, timeout) stand behind this.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from mcp_servers.operations.catalogue import ColumnRule, RowFilter
from mcp_servers.operations.guard_names import CTE_PREFIX, NAMED_FUNCTIONS
from signalbox.errors import UserFault

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # its warnings quote the statement

MAX_SQL_CHARS = 8_000
_BIND_PREFIX = "signalbox_"
_FILTER_PREFIX = "f_"

_SYNTAX = """
Select Union Intersect Except Subquery CTE With Table TableAlias From Join Where Group Having Order Ordered Limit Offset
Distinct Column Identifier Star Alias Literal Boolean Null Paren Tuple Case If Window WindowSpec Filter Var Interval
DataType DataTypeParam Cast Neg Not And Or Xor EQ NEQ GT GTE LT LTE Is In Between Like ILike Escape NullSafeEQ
NullSafeNEQ Add Sub Mul Div Mod IntDiv DPipe Exists
"""
_FUNCTIONS = """
Count CountIf Sum Avg Min Max Round Abs Coalesce Nullif Upper Lower Trim Length Substring Concat ConcatWs GroupConcat
RowNumber Rank DenseRank PercentRank CumeDist Ntile Lag Lead FirstValue LastValue NthValue TimeToStr TsOrDsToTimestamp
TsOrDsToDate Date Datetime DateTrunc TimestampTrunc Extract CurrentDate CurrentTimestamp Year Month Day Ceil Floor Sign
Sqrt StrPosition Left Right Stddev StddevPop StddevSamp Variance DateDiff DateStrToDate TsOrDsDiff
"""
_ALLOWED: frozenset[type] = frozenset(
    kind for name in (_SYNTAX + _FUNCTIONS).split() if isinstance(kind := getattr(exp, name, None), type)
)
_QUERIES = (exp.Select, exp.SetOperation, exp.Subquery)


@dataclass(frozen=True)
class Access:
    """What one asker may read: columns by table, and the row filters on them with their bound values.

    `columns` None means any column: for the catalogue's own metrics, which say what they show.
    """

    columns: Mapping[str, Mapping[str, ColumnRule]] | None
    filters: Mapping[str, tuple[tuple[RowFilter, Mapping[str, Any]], ...]]


@dataclass(frozen=True)
class GuardedQuery:
    """SQL that may run, the values bound to it by the guard, and how to show it."""

    sql: str
    binds: dict[str, Any]
    shown: str
    tables: frozenset[str]
    reads: dict[str, frozenset[str]] | None
    outputs: tuple[tuple[str, ColumnRule | None], ...]


def guard(sql: str, access: Access, *, read: str, write: str, absent: frozenset[str] = frozenset()) -> GuardedQuery:
    """The statement rebuilt for its asker; raises `UserFault` with what to change when it is not one plain SELECT.

    In SQL of the catalogue's own, `(:name IS NULL OR condition)` becomes the condition, or nothing where the name is
    in `absent`.
    """
    tree = _parse(sql, read)
    if access.columns is None:
        _settle_optional(tree, absent)
    ours = access.columns is None
    _check_syntax(tree, ours=ours)
    shown = tree.copy()
    names = _rename_ctes(tree)
    binds: dict[str, Any] = {}
    called = _own_names(tree)
    tables = _rebuild_tables(tree, names, access, read, binds)
    if access.columns is not None:
        _check_quoted(shown, called | {c for name in tables for c in access.columns[name]})
    outputs = _outputs(tree, access, tables)
    if write == "postgres":
        _round_decimals(tree)
    _rebuild_shown(shown, access, read)
    return GuardedQuery(
        sql=tree.sql(dialect=write, comments=False),
        binds=binds,
        shown=shown.sql(dialect=write, pretty=True, comments=False),
        tables=frozenset(tables),
        reads=None if access.columns is None else _reads(tables, access, read),
        outputs=outputs,
    )


def _parse(sql: str, dialect: str) -> exp.Expr:
    if len(sql) > MAX_SQL_CHARS:
        raise UserFault(
            f"The statement has {len(sql)} characters.", hint=f"At most {MAX_SQL_CHARS} are read.", param="sql"
        )
    if "\x00" in sql:
        raise UserFault("The statement holds a NUL character.", param="sql")
    try:
        statements = [s for s in sqlglot.parse(sql, read=dialect) if s is not None and not isinstance(s, exp.Semicolon)]
    except (SqlglotError, RecursionError) as error:
        reason = re.sub(r"\x1b\[\d+m", "", str(error)).splitlines()[0] if str(error) else "too deeply nested"
        raise UserFault(
            f"The SQL could not be parsed: {reason}", hint=f"Write one SELECT in {dialect}.", param="sql"
        ) from error
    if len(statements) != 1:
        raise UserFault(f"{len(statements)} statements were given.", hint="Send exactly one SELECT.", param="sql")
    tree = statements[0]
    if not isinstance(tree, _QUERIES):
        raise UserFault(f"Only SELECT is possible here, not {tree.key.upper()}.", hint="Send one SELECT.", param="sql")
    return tree


def _settle_optional(tree: exp.Expr, absent: frozenset[str]) -> None:
    for group in list(tree.find_all(exp.Paren)):
        either = group.this
        if not (
            isinstance(either, exp.Or)
            and isinstance(either.this, exp.Is)
            and isinstance(either.this.this, exp.Placeholder)
        ):
            continue
        if str(either.this.this.this) not in absent:
            group.replace(either.expression)
        elif isinstance(group.parent, exp.And):
            rest = group.parent.expression if group.parent.this is group else group.parent.this
            group.parent.replace(rest)
        elif isinstance(group.parent, (exp.Where, exp.Having)):
            group.parent.pop()


def _round_decimals(tree: exp.Expr) -> None:
    # PostgreSQL rounds to digits only what is numeric, not floating point.
    for rounding in list(tree.find_all(exp.Round)):
        if rounding.args.get("decimals") is not None and not isinstance(rounding.this, exp.Cast):
            rounding.set("this", exp.cast(rounding.this, "decimal"))


def _check_syntax(tree: exp.Expr, *, ours: bool) -> None:
    for node in tree.walk():
        kind = type(node)
        if isinstance(node, exp.Anonymous):
            name = str(node.this).lower()
            if name not in NAMED_FUNCTIONS or isinstance(node.parent, exp.Table):
                raise UserFault(
                    f"The function {name!r} is not available.",
                    hint="Use plain aggregates and date functions.",
                    param="sql",
                )
        elif isinstance(node, exp.Placeholder):
            if not ours or not node.this:
                raise UserFault("Parameters are not possible here.", hint="Write values as literals.", param="sql")
        elif kind not in _ALLOWED:
            raise UserFault(f"{node.key.upper()} is not available here.", hint="Write a plain SELECT.", param="sql")
        if isinstance(node, exp.Select) and node.args.get("into"):
            raise UserFault("SELECT INTO writes; only reading is possible.", param="sql")
        if isinstance(node, exp.Column) and node.name.lower() in {"rowid", "oid", "_rowid_"}:
            raise UserFault(f"There is no column {node.name!r}.", hint="See describe_tables.", param="sql")
        if isinstance(node, exp.Column) and (node.args.get("db") or node.args.get("catalog")):
            raise UserFault("Columns are named as column or table.column.", param="sql")


def _own_names(tree: exp.Expr) -> set[str]:
    """Names that the statement itself gives: aliases, and columns of CTEs and subqueries."""
    given = {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
    for alias in tree.find_all(exp.TableAlias):
        given |= {column.name.lower() for column in alias.args.get("columns") or ()}
    return given


def _check_quoted(tree: exp.Expr, known: set[str]) -> None:
    # SQLite takes a quoted name that does not exist for a string.
    for column in tree.find_all(exp.Column):
        if isinstance(column.this, exp.Identifier) and column.this.quoted and column.name.lower() not in known:
            raise UserFault(f"There is no column {column.name!r}.", hint="Text stands in single quotes.", param="sql")


def _rename_ctes(tree: exp.Expr) -> dict[int, exp.CTE]:
    """Give every CTE a name that no real table has, in its definition and where its scope refers to it."""
    resolved: dict[int, exp.CTE] = {}
    ctes = list(tree.find_all(exp.CTE))
    fresh = {id(cte): f"{CTE_PREFIX}{index}" for index, cte in enumerate(ctes)}
    for table in list(tree.find_all(exp.Table)):
        cte = _cte_in_scope(table)
        if cte is not None and not table.args.get("db"):
            resolved[id(table)] = cte
    for table in list(tree.find_all(exp.Table)):
        cte = resolved.get(id(table))
        if cte is not None:
            if not table.alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
            table.set("this", exp.to_identifier(fresh[id(cte)], quoted=True))
    for cte in ctes:
        cte.args["alias"].set("this", exp.to_identifier(fresh[id(cte)], quoted=True))
    return resolved


def _cte_in_scope(table: exp.Table) -> exp.CTE | None:
    node: exp.Expr | None = table
    inside: exp.Expr = table
    while node is not None:
        own = node.args.get("with_") or node.args.get("with")
        if isinstance(own, exp.With) and inside is not own:
            for cte in own.expressions:
                if cte.alias.lower() == table.name.lower():
                    return cte
        if isinstance(node, exp.With):  # inside a definition: earlier ones, and itself when recursive
            for cte in node.expressions:
                if cte is inside and not node.recursive:
                    break
                if cte.alias.lower() == table.name.lower():
                    return cte
                if cte is inside:
                    break
        inside, node = node, node.parent
    return None


def _rebuild_tables(
    tree: exp.Expr, ctes: Mapping[int, exp.CTE], access: Access, dialect: str, binds: dict[str, Any]
) -> dict[str, str]:
    tables: dict[str, str] = {}
    for table in list(tree.find_all(exp.Table)):
        if id(table) in ctes:
            continue
        name = table.name.lower()
        if not isinstance(table.this, exp.Identifier) or table.args.get("db") or table.args.get("catalog"):
            raise UserFault(f"Tables are named without a schema: {table.sql(dialect=dialect)[:60]!r}.", param="sql")
        columns = None if access.columns is None else access.columns.get(name)
        if access.columns is not None and columns is None:
            known = ", ".join(sorted(access.columns))
            raise UserFault(f"There is no table {table.name!r}.", hint=f"Tables: {known}.", param="sql")
        tables[name] = name
        table.replace(_readable(table, name, columns, access, dialect, binds))
    return tables


def _readable(
    table: exp.Table,
    name: str,
    columns: Mapping[str, ColumnRule] | None,
    access: Access,
    dialect: str,
    binds: dict[str, Any],
) -> exp.Expr:
    filters = access.filters.get(name, ())
    if columns is None and not filters:
        return table
    chosen: list[exp.Expr] = [exp.Star()] if columns is None else [exp.column(c, quoted=True) for c in columns]
    inner = exp.Select().select(*chosen, copy=False).from_(exp.Table(this=exp.to_identifier(name, quoted=True)))
    for rule, values in filters:
        inner = inner.where(_condition(rule, values, dialect, binds), copy=False)
    alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name))
    rebuilt = exp.Subquery(this=inner, alias=alias)
    for key in ("joins", "sample", "pivots"):
        if table.args.get(key):
            rebuilt.set(key, table.args[key])
    return rebuilt


def _condition(rule: RowFilter, values: Mapping[str, Any], dialect: str, binds: dict[str, Any] | None) -> exp.Expr:
    condition = _filter_of(rule, dialect)
    for mark in list(condition.find_all(exp.Placeholder)):
        value = values[str(mark.this).removeprefix(_FILTER_PREFIX)]
        many = list(value) if isinstance(value, (list, tuple)) else [value]
        marks: list[exp.Expr] = []
        for one in many:
            if binds is None:
                marks.append(exp.Literal.string(str(one)))
                continue
            bind = f"{_BIND_PREFIX}{len(binds)}"
            binds[bind] = one
            marks.append(exp.Placeholder(this=bind))
        parent = mark.parent
        if isinstance(parent, exp.In):
            parent.set("expressions", marks or [exp.Null()])
        else:
            mark.replace(marks[0] if marks else exp.Null())
    return exp.paren(condition, copy=False)


def _filter_of(rule: RowFilter, dialect: str) -> exp.Expr:
    # A prefix, because `:values` would be read as the keyword.
    return sqlglot.parse_one(re.sub(r"(?<![:\w]):(\w+)", rf":{_FILTER_PREFIX}\1", rule.where), read=dialect)


def _rebuild_shown(shown: exp.Expr, access: Access, dialect: str) -> None:
    resolved = {id(t) for t in shown.find_all(exp.Table) if _cte_in_scope(t) is not None}
    for table in list(shown.find_all(exp.Table)):
        name = table.name.lower()
        filters = access.filters.get(name, ())
        if id(table) in resolved or not filters:
            continue
        inner = exp.Select().select(exp.Star()).from_(exp.Table(this=exp.to_identifier(name)))
        for rule, values in filters:
            inner = inner.where(_condition(rule, values, dialect, None), copy=False)
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name))
        rebuilt = exp.Subquery(this=inner, alias=alias)
        if table.args.get("joins"):
            rebuilt.set("joins", table.args["joins"])
        table.replace(rebuilt)


def _reads(tables: Mapping[str, str], access: Access, dialect: str) -> dict[str, frozenset[str]]:
    """Table and column names that the database's authoriser may let through, those of the row filters included."""
    assert access.columns is not None
    reads: dict[str, set[str]] = {name: {c.lower() for c in access.columns[name]} for name in tables}
    for name in tables:
        for rule, _ in access.filters.get(name, ()):
            condition = _filter_of(rule, dialect)
            columns = {column.name.lower() for column in condition.find_all(exp.Column)}
            for table in (name, *(t.name.lower() for t in condition.find_all(exp.Table))):
                reads.setdefault(table, set()).update(columns)
    return {name: frozenset(columns) for name, columns in reads.items()}


def _outputs(tree: exp.Expr, access: Access, tables: Mapping[str, str]) -> tuple[tuple[str, ColumnRule | None], ...]:
    """Name and meaning of each output column, where it can be told: a column, or an aggregate that keeps its unit."""
    query = tree
    while isinstance(query, (exp.SetOperation, exp.Subquery)):
        query = query.this
    if access.columns is None or not isinstance(query, exp.Select):
        return ()
    known: dict[str, ColumnRule] = {}
    for table in tables:
        for name, rule in access.columns[table].items():
            if name in known and known[name].unit != rule.unit:
                known[name] = ColumnRule()
            else:
                known.setdefault(name, rule)
    made: list[tuple[str, ColumnRule | None]] = []
    for expression in query.expressions:
        if expression.is_star:
            return ()
        core = expression.unalias()
        while isinstance(core, (exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Round, exp.Paren)):
            core = core.this
        made.append((expression.alias_or_name, known.get(core.name.lower()) if isinstance(core, exp.Column) else None))
    return tuple(made)
