"""The demo's data: the same every time, whole, and telling what `demo/company.md` tells."""

import hashlib
import re
import sqlite3
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import demo
from demo._facts import NAMED_PEOPLE, PRODUCTS, SUPPLIERS, email_of
from demo.database import build_operations, rows
from demo.desk import build_desk, directory, stories

COMPANY = Path(demo.__file__).with_name("company.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "operations.db"
    build_operations(path)
    return path


@pytest.fixture
def one(database: Path) -> Iterator[Any]:
    """The first row of a query."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    yield lambda sql: connection.execute(sql).fetchone()
    connection.close()


def test_the_same_seed_writes_the_same_file_and_another_another(database: Path, tmp_path: Path):
    started = time.process_time()
    build_operations(tmp_path / "again.db")
    assert time.process_time() - started < 3
    first, again = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (database, tmp_path / "again.db"))
    assert first == again
    assert rows(seed=8)["orders"] != rows(seed=7)["orders"]


def test_there_are_thousands_of_rows_over_two_years(one: Any):
    assert sum(len(made) for made in rows().values()) > 20_000
    first, last = one("SELECT MIN(ordered_on), MAX(ordered_on) FROM orders")
    assert (first[:7], last[:7]) == ("2025-01", "2026-11")


def test_every_reference_points_at_something(one: Any):
    assert one("SELECT COUNT(*) FROM orders WHERE customer_id NOT IN (SELECT customer_id FROM customers)") == (0,)
    assert one("SELECT COUNT(*) FROM order_lines WHERE order_id NOT IN (SELECT order_id FROM orders)") == (0,)
    assert one("SELECT COUNT(*) FROM order_lines WHERE product_code NOT IN (SELECT product_code FROM products)") == (0,)
    assert one("SELECT COUNT(*) FROM deliveries WHERE supplier_id NOT IN (SELECT supplier_id FROM suppliers)") == (0,)
    assert one("SELECT COUNT(*) FROM people WHERE manager NOT IN (SELECT name FROM people)") == (0,)


def test_no_date_contradicts_another(one: Any):
    assert one("SELECT COUNT(*) FROM orders WHERE shipped_on < ordered_on OR shipped_on > '2026-11-20'") == (0,)
    assert one("SELECT COUNT(*) FROM orders WHERE status IN ('open', 'on_hold') AND shipped_on IS NOT NULL") == (0,)
    assert one("SELECT COUNT(*) FROM deliveries WHERE received_on IS NULL AND expected_on IS NULL") == (0,)
    assert one("SELECT COUNT(*) FROM deliveries WHERE received_on IS NULL AND expected_on <= '2026-11-20'") == (0,)
    assert one("SELECT COUNT(*) FROM incidents WHERE closed_at < opened_at") == (0,)
    assert one("SELECT COUNT(*) FROM service_cases WHERE closed_on < opened_on OR closed_on > '2026-11-20'") == (0,)
    assert one("SELECT COUNT(*) FROM people WHERE started_on > '2026-11-20' OR left_on < started_on") == (0,)


def test_the_stories_of_the_company_are_in_the_figures(one: Any):
    assert one("SELECT SUM(quantity) FROM deliveries WHERE batch = 'NC-2604'") == (412,)
    assert one("SELECT COUNT(*), SUM(status = 'open') FROM service_cases WHERE batch = 'NC-2604'") == (318, 37)
    assert one("SELECT SUM(quarantined) FROM stock") == (94,)
    assert one("SELECT on_hand FROM stock WHERE product_code = 'PEL-F' AND site = 'Porto'") == (0,)
    sold_out = (
        "SELECT MIN(counted_on) FROM stock_history WHERE product_code = 'PEL-F' AND site = 'Porto' AND on_hand = 0"
    )
    assert one(sold_out) == ("2026-11-02",)
    due = "SELECT promised_on, expected_on, quantity FROM deliveries WHERE product_code = 'BAT-750' AND site = 'Porto'"
    assert one(due + " AND received_on IS NULL ORDER BY expected_on") == ("2026-11-06", "2026-11-24", 240)
    down = "SELECT site, severity, hours_to_close FROM incidents WHERE incident_id = 'INC-2026-0914'"
    assert one(down) == ("Leeds", 1, 6.3)
    worst = """SELECT supplier FROM deliveries JOIN suppliers USING (supplier_id) WHERE site = 'Porto'
               AND promised_on >= '2026-09-01' AND COALESCE(received_on, expected_on) > promised_on
               GROUP BY supplier ORDER BY COUNT(*) DESC LIMIT 1"""
    assert one(worst) == ("Nordcell",)
    assert one("SELECT COUNT(*) FROM people WHERE left_on IS NULL") == (240,)
    paint = """SELECT SUM(produced) * 1.0 / SUM(planned) FROM production
               WHERE week_start = '2026-03-09' AND product_code LIKE 'HER%'"""
    assert one(paint)[0] < 0.6


def test_the_facts_page_and_the_data_agree():
    for code, name, _, _, price, *_ in PRODUCTS:
        assert re.search(rf"\| {re.escape(code)} \| {re.escape(name)} \| \w+ \| {price:,} \|", COMPANY)
    for number, name, city, *_ in SUPPLIERS:
        assert f"| {number} | {name} | {city}" in COMPANY
    for name, *_ in NAMED_PEOPLE:
        assert f"| {name}" in COMPANY


def test_addresses_are_plain_and_unique():
    assert email_of("Inês Carvalho") == "ines.carvalho@larkspur.example"
    addresses = [person["email"] for person in rows()["people"] if person["left_on"] is None]
    assert len(addresses) == len(set(addresses)) == 240


def test_the_desk_starts_with_people_and_sixty_tickets(tmp_path: Path):
    counts = build_desk(tmp_path / "desk.db")
    assert counts == {"people": 240, "tickets": 60, "comments": 28}
    assert build_desk(tmp_path / "desk.db") == counts  # again: the same, not twice
    users = {person["user"] for person in directory()}
    tickets, comments = stories()
    named = {row[key] for row in tickets for key in ("requester", "assignee")} | {row["author"] for row in comments}
    assert named - {None} <= users


@pytest.mark.parametrize("day", [date(2026, 11, 20), date(2027, 3, 1)])
def test_another_today_still_gives_a_whole_workspace(day: date):
    made = rows(today=day)
    assert max(order["ordered_on"] for order in made["orders"]) == day
