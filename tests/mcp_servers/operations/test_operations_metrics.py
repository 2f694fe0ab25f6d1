"""Metrics: every one answers, for whom it may, with figures that SQL written by hand confirms."""

import json
import sqlite3
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client

from mcp_servers.operations.catalogue import load_catalogue
from mcp_servers.operations.opening import open_service
from mcp_servers.operations.parameters import read_date
from mcp_servers.operations.schema import query_schema
from mcp_servers.operations.settings import OperationsSettings
from signalbox.errors import UserFault

ALL = ("staff", "operations", "finance", "managers", "people")
TODAY = date(2026, 11, 20)
METRICS = load_catalogue().metrics


async def query(ask: Any, metric: str, *groups: str, **parameters: Any) -> dict[str, Any]:
    answer = await ask("query_metric", {"query": {"metric": metric, **parameters}}, *(groups or ALL))
    assert not answer.error
    return answer.body


def needed(ask: Any, name: str) -> dict[str, Any]:
    """Values for the required parameters of a metric."""
    made = {}
    for key, parameter in METRICS[name].parameters.items():
        if parameter.required:
            made[key] = parameter.examples[-1] if parameter.examples else ask.service.choices[name][key].values[0]
    return made


def test_the_catalogue_has_at_least_twenty_five_metrics_and_each_says_how_it_is_asked():
    assert len(METRICS) >= 25
    assert [name for name, metric in METRICS.items() if len(metric.examples) < 2] == []


@pytest.mark.parametrize("name", METRICS)
async def test_every_metric_answers_with_the_columns_that_it_declares(ask: Any, name: str):
    table = await query(ask, name, **needed(ask, name))
    assert table["row_count"] > 0
    assert [column["name"] for column in table["columns"]] == list(METRICS[name].columns)
    assert all(list(row) == list(METRICS[name].columns) for row in table["rows"])
    assert "{" not in table["summary"] and "None" not in table["summary"]
    (proof,) = table["evidence"]
    assert proof["document"] == f"operations/{name}"
    assert proof["text"].startswith(table["summary"])
    assert proof["ref"] == proof["chunk_id"][:8]
    assert table["sql"].startswith("SELECT") and ":" not in table["sql"].replace("::", "")


async def test_late_deliveries_are_told_with_their_worst_supplier(ask: Any, database: Path):
    table = await query(ask, "late_deliveries_by_supplier", site="Porto")
    with sqlite3.connect(database) as connection:
        (expected,) = connection.execute(
            "SELECT COUNT(*) FROM deliveries WHERE site = 'Porto' "
            "AND promised_on BETWEEN '2026-10-21' AND '2026-11-20' "
            "AND COALESCE(received_on, expected_on) > promised_on"
        ).fetchone()
    connection.close()
    assert sum(row["late_deliveries"] for row in table["rows"]) == expected
    assert table["rows"][0]["supplier"] == "Nordcell"
    assert table["summary"] == (
        f"Porto had {expected} late deliveries between 2026-10-21 and 2026-11-20, "
        f"{table['rows'][0]['late_deliveries']} of them from Nordcell "
        f"(on average {table['rows'][0]['average_delay_days']} days late)."
    )
    assert table["columns"][1] == {
        "name": "late_deliveries",
        "type": "integer",
        "unit": "deliveries",
        "description": "",
    }
    assert table["chart"]["mark"]["type"] == "bar"
    assert table["chart"]["data"]["values"][0] == {
        "supplier": "Nordcell",
        "late_deliveries": table["rows"][0]["late_deliveries"],
    }


async def test_the_sql_shown_runs_by_hand_and_gives_the_same_rows(ask: Any, database: Path):
    table = await query(ask, "revenue_by_month", **{"from": "2026-01", "to": "2026-06", "family": "Pelican"})
    with sqlite3.connect(database) as connection:
        rows = connection.execute(table["sql"]).fetchall()
    connection.close()
    assert [tuple(row.values()) for row in table["rows"]] == rows
    assert len(rows) == 6


async def test_nothing_found_is_said_and_is_no_error(ask: Any):
    table = await query(ask, "order_status", order_id="SO-1999-00001")
    assert table["summary"] == "There is no order SO-1999-00001."
    assert (table["rows"], table["chart"], table["truncated"]) == ([], None, False)


async def test_a_metric_that_the_groups_forbid_is_unknown_and_not_named(ask: Any):
    forbidden = await ask("query_metric", {"query": {"metric": "people_by_salary_band"}}, "staff")
    invented = await ask("query_metric", {"query": {"metric": "people_by_salary_bond"}}, "staff")
    assert forbidden.error == invented.error
    assert "salary" not in forbidden.error
    listed = await ask("list_metrics", {}, "staff")
    assert "people_by_salary_band" not in {m["metric"] for m in listed.body["metrics"]}
    seen = await ask("list_metrics", {"topic": "people"}, "staff", "people")
    assert "people_by_salary_band" in {m["metric"] for m in seen.body["metrics"]}


async def test_whoever_is_in_no_known_group_sees_no_metric(ask: Any):
    listed = await ask("list_metrics", {}, "visitors")
    assert listed.body == {"metrics": [], "topics": []}


async def test_a_call_without_a_token_is_refused(ask: Any):
    async with Client(ask.server) as client:
        result = await client.call_tool("list_metrics", {})
    assert result.is_error
    assert "carries no token" in str(result.content[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"metric": "open_orders_by_site", "site": "Gent City"}, "'site' has no value 'Gent City'. Values: Ghent"),
        ({"metric": "open_orders_by_site", "place": "Ghent"}, "has no parameter 'place'. Parameters: site."),
        ({"metric": "stock_level"}, "needs 'product'"),
        ({"metric": "late_orders", "limit": 0}, "'limit' must be between 1 and 500"),
        ({"metric": "late_orders", "limit": "many"}, "'limit' must be a whole number"),
        ({"metric": "units_sold", "from": "last spring"}, "'from' is not a date: 'last spring'. Write YYYY-MM-DD"),
        ({"metric": "sales"}, "This metric does not exist or is not available to you. The list of metrics shows"),
        ({}, "This metric does not exist or is not available to you."),
    ],
)
async def test_a_wrong_query_says_what_would_be_right(ask: Any, arguments: dict[str, Any], said: str):
    answer = await ask("query_metric", {"query": arguments})
    assert said in answer.error


async def test_values_are_found_without_case_accents_and_by_code(ask: Any):
    assert (await query(ask, "stock_level", product="pel-f"))["rows"][0]["product"] == "Pelican Family"
    assert (await query(ask, "customer_orders", customer="entregaja"))["row_count"] == 20
    assert (await query(ask, "customer_orders", customer="postnova"))["row_count"] == 20


async def test_one_colleague_is_described_and_several_are_listed(ask: Any):
    one = await query(ask, "who_is", who="Ada Verhulst")
    assert one["summary"].startswith(
        "Ada Verhulst is Operations planner in Operations, Ghent (manager: Joris Maes), ada."
    )
    two = await query(ask, "who_is", who="the plant manager in Porto")
    assert two["summary"].startswith("2 people match the plant manager in Porto: Henrique Matos Plant manager, Lotte")


async def test_a_query_written_as_a_json_string_is_understood(ask: Any):
    answer = await ask("query_metric", {"query": json.dumps({"metric": "headcount", "site": "Leeds"})})
    assert answer.body["summary"] == "40 people work at Leeds in all departments on 2026-11-20."


async def test_pages_hold_every_row_once(connect: Any):
    small, whole = await connect(max_rows=7), await connect()
    expected = (await query(whole, "next_deliveries", limit=60))["rows"]
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        arguments = {"query": {"metric": "next_deliveries", "limit": 60}} | ({"cursor": cursor} if cursor else {})
        page = (await small("query_metric", arguments)).body
        assert page["row_count"] <= 7
        found += page["rows"]
        cursor = page["next_cursor"]
        assert page["truncated"] == (cursor is not None)
        if cursor is None:
            break
    assert found == expected


async def test_a_cursor_of_another_query_is_refused(connect: Any):
    ask = await connect(max_rows=5)
    first = await query(ask, "late_orders")
    other = await ask("query_metric", {"query": {"metric": "open_incidents"}, "cursor": first["next_cursor"]})
    assert "The cursor belongs to another query." in other.error
    assert "not one of ours" in (await ask("query_metric", {"query": {"metric": "late_orders"}, "cursor": "%%%"})).error


async def test_the_same_question_has_the_same_reference_and_another_has_another(ask: Any):
    one = await query(ask, "headcount", site="Leeds")
    same = await query(ask, "headcount", site="leeds")
    other = await query(ask, "headcount", site="Porto")
    assert one["evidence"] == same["evidence"]
    assert one["evidence"][0]["ref"] != other["evidence"][0]["ref"]


async def test_the_schema_is_inline_described_and_valid(ask: Any):
    async with Client(ask.server) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    schema = tools["query_metric"].input_schema
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "$ref" not in json.dumps([tool.input_schema for tool in tools.values()])
    variants = schema["properties"]["query"]["oneOf"]
    assert [v["properties"]["metric"]["const"] for v in variants] == list(METRICS)
    for variant in variants:
        assert variant["description"] and variant["additionalProperties"] is False
        assert all(p["description"] for p in variant["properties"].values())
    late = next(v for v in variants if v["properties"]["metric"]["const"] == "late_deliveries_by_supplier")
    assert late["properties"]["site"]["enum"] == ["Ghent", "Leeds", "Porto"]
    assert "Nordcell" in late["properties"]["supplier"]["enum"]
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate({"query": {"metric": "late_deliveries_by_supplier", "site": "Porto", "from": "2026-10-01"}})
    assert not validator.is_valid({"query": {"metric": "late_deliveries_by_supplier", "site": "Atlantis"}})
    assert all(t.annotations and t.annotations.read_only_hint for t in tools.values())
    assert all(t.output_schema for t in tools.values())


async def test_the_schema_does_not_change_with_the_day(settings: OperationsSettings):
    service = await open_service(settings)
    later = await open_service(settings.model_copy(update={"today": TODAY + timedelta(days=40)}))
    assert query_schema(service.catalogue, service.choices) == query_schema(later.catalogue, later.choices)
    assert "2026-11-20" not in json.dumps(query_schema(service.catalogue, service.choices))
    await service.close()
    await later.close()


@pytest.mark.parametrize(
    ("text", "edge", "day"),
    [
        ("2026-10-05", "start", "2026-10-05"),
        ("2026-02", "start", "2026-02-01"),
        ("2026-02", "end", "2026-02-28"),
        ("2025", "end", "2025-12-31"),
        ("today", "start", "2026-11-20"),
        ("Yesterday", "start", "2026-11-19"),
        ("-30d", "start", "2026-10-21"),
        ("today-2w", "start", "2026-11-06"),
        ("-9m", "start", "2026-02-20"),
        ("month-start", "start", "2026-11-01"),
        ("year-start", "start", "2026-01-01"),
        ("2026-10-05T08:00:00Z", "start", "2026-10-05"),
    ],
)
def test_dates_are_read_as_people_and_models_write_them(text: str, edge: str, day: str):
    assert read_date("from", text, edge, TODAY).isoformat() == day


@given(st.text(max_size=30))
def test_any_text_is_a_date_or_a_fault_that_names_the_parameter(text: str):
    try:
        assert isinstance(read_date("from", text, "start", TODAY), date)
    except UserFault as fault:
        assert fault.param == "from"
