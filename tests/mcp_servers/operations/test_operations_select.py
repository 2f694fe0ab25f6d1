"""SELECTs that a model writes: rows and columns by who asks, bounded, typed, with a cursor."""

import asyncio
import time
from typing import Any

import pytest

from signalbox.identity import Principal

FORMS = [
    "SELECT COUNT(*) AS n FROM {t}",
    "SELECT COUNT(*) AS n FROM {t} AS other",
    "WITH {t} AS (SELECT * FROM {t}) SELECT COUNT(*) AS n FROM {t}",
    "SELECT COUNT(*) AS n FROM (SELECT * FROM {t} UNION ALL SELECT * FROM {t} WHERE 1 = 0)",
    "SELECT (SELECT COUNT(*) FROM {t}) AS n",
    "SELECT COUNT(*) AS n FROM sites JOIN {t} ON 1 = 1 WHERE sites.site = 'Ghent'",
    "SELECT COUNT(*) AS n FROM {t} WHERE 1 = 1 OR 1 = 1",
]


async def count(ask: Any, sql: str, *groups: str) -> int:
    answer = await ask("run_select", {"sql": sql}, *groups)
    assert not answer.error
    return answer.body["rows"][0]["n"]


@pytest.mark.parametrize("form", FORMS)
async def test_those_who_left_are_rows_for_people_only_however_the_query_is_put(ask: Any, form: str):
    sql = form.format(t="people")
    assert await count(ask, sql, "staff") == 240
    assert await count(ask, sql, "staff", "people") == 254


async def test_a_partner_sees_the_customers_and_orders_of_their_region(ask: Any):
    sql = "SELECT DISTINCT region FROM customers ORDER BY region"
    seen = await ask("run_select", {"sql": sql}, "partners", "region:Iberia", "region:DACH")
    assert [row["region"] for row in seen.body["rows"]] == ["DACH", "Iberia"]
    assert "region IN ('DACH', 'Iberia')" in seen.body["sql"]
    none = await ask("run_select", {"sql": sql}, "partners")
    assert none.body["rows"] == []
    orders = "SELECT COUNT(*) AS n FROM orders"
    some = await count(ask, orders, "partners", "region:Iberia")
    assert 0 < some < await count(ask, orders, "staff")
    assert "There is no table 'people'" in (await ask("run_select", {"sql": "SELECT * FROM people"}, "partners")).error


async def test_a_value_in_a_group_name_stays_a_value(ask: Any):
    hostile = "region:x') OR 1=1 --"
    seen = await ask("run_select", {"sql": "SELECT * FROM customers"}, "partners", hostile)
    assert (seen.error, seen.body["rows"]) == ("", [])


async def test_columns_are_those_of_the_asker(ask: Any):
    sql = "SELECT * FROM products LIMIT 1"
    plain = await ask("run_select", {"sql": sql}, "staff")
    finance = await ask("run_select", {"sql": sql}, "staff", "finance")
    assert "unit_cost_eur" not in plain.body["rows"][0]
    assert finance.body["rows"][0]["unit_cost_eur"] > 0
    tables = await ask("describe_tables", {}, "staff")
    described = {table["table"]: table for table in tables.body["tables"]}
    assert "salary_band" not in {c["name"] for c in described["people"]["columns"]}
    assert described["people"]["rows_limited_to"] == "those who left are shown to People only"
    assert tables.body["dialect"] == "sqlite"
    assert "payroll" not in described


async def test_a_result_is_typed_summed_up_and_drawn(ask: Any):
    sql = "SELECT site, COUNT(*) AS orders, SUM(total_eur) AS worth FROM orders GROUP BY site ORDER BY worth DESC"
    table = (await ask("run_select", {"sql": sql})).body
    assert [(c["name"], c["type"], c["unit"]) for c in table["columns"]] == [
        ("site", "text", ""),
        ("orders", "integer", ""),
        ("worth", "number", "EUR"),
    ]
    assert table["summary"].startswith("The query found 3 rows; the first here: site Ghent, orders ")
    assert table["chart"]["encoding"]["x"]["field"] == "site"
    assert table["evidence"][0]["document"] == "operations/orders"


async def test_one_figure_is_stated_as_a_sentence(ask: Any):
    table = (
        await ask("run_select", {"sql": "SELECT COUNT(*) AS people_in_leeds FROM people WHERE site = 'Leeds'"})
    ).body
    assert table["summary"] == "people in leeds: 40."


async def test_pages_go_on_where_the_last_one_ended(connect: Any):
    ask = await connect(max_rows=100)
    sql = "SELECT order_id FROM orders WHERE site = 'Leeds' ORDER BY order_id"
    total = await count(ask, "SELECT COUNT(*) AS n FROM orders WHERE site = 'Leeds'")
    found: list[str] = []
    cursor = None
    while cursor is not None or not found:
        page = (await ask("run_select", {"sql": sql} | ({"cursor": cursor} if cursor else {}))).body
        found += [row["order_id"] for row in page["rows"]]
        cursor = page["next_cursor"]
    assert len(found) == len(set(found)) == total
    assert found == sorted(found)


async def test_a_page_stays_within_its_bytes_and_a_cell_within_its_length(connect: Any):
    ask = await connect(max_bytes=2_000, max_cell_chars=50)
    page = (await ask("run_select", {"sql": "SELECT * FROM orders"})).body
    assert page["truncated"] and 0 < page["row_count"] < 40
    wide = (await ask("run_select", {"sql": "SELECT group_concat(order_id) AS ids FROM orders"})).body
    assert len(wide["rows"][0]["ids"]) == 50


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT site FROM orders WHERE", "could not be parsed"),
        ("SELECT * FROM stocks", "There is no table 'stocks'. Tables: customers, deliveries"),
        ("SELECT colour FROM products", "no such column: colour. See describe_tables."),
        ('SELECT "salary_band" FROM people', "There is no column 'salary_band'. Text stands in single quotes."),
        ("DELETE FROM orders", "Only SELECT is possible here, not DELETE."),
        ("SELECT 1; SELECT 2", "2 statements were given. Send exactly one SELECT."),
        ("SELECT foo(1)", "The function 'foo' is not available."),
        ("SELECT 1 " + "x" * 9000, "At most 8000 are read."),
    ],
)
async def test_a_refusal_says_what_to_change(ask: Any, sql: str, said: str):
    assert said in (await ask("run_select", {"sql": sql})).error


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT strftime('%Y-%m', ordered_on) AS m, COUNT(*) FROM orders GROUP BY m HAVING COUNT(*) > 5 ORDER BY 1",
        "WITH late AS (SELECT * FROM deliveries WHERE received_on > promised_on) SELECT supplier, COUNT(*) FROM late "
        "JOIN suppliers USING (supplier_id) GROUP BY supplier",
        "SELECT product, RANK() OVER (ORDER BY list_price_eur DESC) AS place FROM products",
        "SELECT CASE WHEN severity < 3 THEN 'bad' ELSE 'ok' END AS kind, AVG(hours_to_close) FROM incidents GROUP BY 1",
        "SELECT name FROM people WHERE role LIKE '%planner%' AND site IN ('Ghent', 'Porto') ORDER BY name LIMIT 5",
        "SELECT julianday(received_on) - julianday(promised_on) AS delay FROM deliveries WHERE received_on IS NOT NULL",
        "SELECT s.site FROM sites s WHERE NOT EXISTS (SELECT 1 FROM stock t WHERE t.site = s.site AND t.on_hand < 0)",
        "SELECT COALESCE(shipped_on, 'open') AS shipped, ROUND(total_eur / 1000.0, 1) AS k FROM orders LIMIT 3",
        "SELECT site FROM sites UNION SELECT region FROM customers ORDER BY 1",
        "SELECT COUNT(DISTINCT customer_id), COUNT(CASE WHEN status = 'open' THEN 1 END) FROM orders",
        "SELECT date('2026-11-20', '-30 days') AS since, 'a:b' AS text, '100%' AS share",
        'SELECT "site", COUNT(*) AS "how many" FROM "orders" GROUP BY "site" ORDER BY "how many"',
        "SELECT a.site, b.site FROM sites a LEFT JOIN sites b ON a.site <> b.site AND b.site BETWEEN 'A' AND 'M'",
    ],
)
async def test_plain_analytical_sql_runs(ask: Any, sql: str):
    answer = await ask("run_select", {"sql": sql})
    assert not answer.error
    assert answer.body["rows"]


async def test_a_cancelled_call_frees_its_place_at_once(connect: Any):
    ask = await connect(max_parallel=1, statement_timeout_s=60.0)
    staff = Principal(user="ada", groups=frozenset({"staff"}))
    heavy = "SELECT COUNT(*) FROM order_lines a, order_lines b, order_lines c"
    running = asyncio.create_task(ask.service.run_select(staff, heavy, None))
    await asyncio.sleep(0.3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    started = time.monotonic()
    await ask.service.run_select(staff, "SELECT 1 AS one", None)
    assert time.monotonic() - started < 1.5
