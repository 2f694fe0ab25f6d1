"""Writes the operations database of Larkspur Cargo Bikes: the same rows for the same seed and day.

The schema is plain: dates are ISO dates, money is euro without VAT, names say units. Irregularities are on purpose
and stand in `demo/company.md`: a supplier that turned late, a stockout, a recall, a plant standstill.
"""

import random
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from demo._facts import TODAY
from demo._house import incidents, people, service_cases
from demo._supply import deliveries, production, stock, stock_history
from demo._trade import customers, orders, products, sites, suppliers

Rows = list[dict[str, Any]]


def schema() -> sa.MetaData:
    """The tables, in the order in which they reference each other."""
    meta = sa.MetaData()
    text, number, money, day = sa.String, sa.Integer, sa.Float, sa.Date

    def table(name: str, key: str, /, **columns: Any) -> None:
        keys = key.split(",")
        made = [sa.Column(n, kind, primary_key=n in keys, autoincrement=False) for n, kind in columns.items()]
        sa.Table(name, meta, *made)

    table("sites", "site", site=text, country=text, purpose=text, manager=text)
    table("products", "product_code", product_code=text, product=text, family=text, category=text,
          list_price_eur=money, unit_cost_eur=money, built_in=text)
    table("customers", "customer_id", customer_id=text, customer=text, kind=text, region=text, country=text,
          city=text, customer_since=day, account_manager=text, credit_limit_eur=money)
    table("suppliers", "supplier_id", supplier_id=text, supplier=text, city=text, country=text, supplies=text,
          lead_time_days=number, contact=text, contact_email=text, payment_terms_days=number)
    table("orders", "order_id", order_id=text, customer_id=text, site=text, channel=text, ordered_on=day,
          promised_on=day, shipped_on=day, status=text, total_eur=money)
    table("order_lines", "order_id,line", order_id=text, line=number, product_code=text, quantity=number,
          unit_price_eur=money, discount_pct=money, returned_quantity=number)
    table("stock", "site,product_code", site=text, product_code=text, on_hand=number, reserved=number,
          quarantined=number, reorder_point=number, counted_on=day)
    table("stock_history", "site,product_code,counted_on", site=text, product_code=text, counted_on=day,
          on_hand=number)
    table("deliveries", "delivery_id", delivery_id=text, supplier_id=text, site=text, product_code=text,
          product=text, quantity=number, batch=text, ordered_on=day, promised_on=day, expected_on=day,
          received_on=day, status=text, value_eur=money)
    table("production", "site,week_start,product_code", site=text, week_start=day, product_code=text,
          planned=number, produced=number, scrapped=number, downtime_h=money)
    table("incidents", "incident_id", incident_id=text, title=text, severity=number, site=text, system=text,
          opened_on=day, opened_at=text, closed_at=text, hours_to_close=money, status=text, owner=text, cause=text)
    table("people", "person_id", person_id=text, name=text, email=text, role=text, department=text, site=text,
          manager=text, started_on=day, left_on=day, phone_ext=text, fte=money, remote_days=number, salary_band=text)
    table("service_cases", "case_id", case_id=text, kind=text, product_code=text, customer_id=text, site=text,
          opened_on=day, closed_on=day, status=text, symptom=text, batch=text, cost_eur=money)
    sa.Index("orders_by_status", meta.tables["orders"].c.status, meta.tables["orders"].c.promised_on)
    sa.Index("lines_by_product", meta.tables["order_lines"].c.product_code)
    sa.Index("deliveries_by_promise", meta.tables["deliveries"].c.promised_on)
    return meta


def rows(seed: int = 7, today: date = TODAY) -> dict[str, Rows]:
    """All rows by table. Each table draws from its own generator, so that one can change without the others."""

    def dice(table: str) -> random.Random:
        return random.Random(f"{seed}/{table}")  # noqa: S311

    made: dict[str, Rows] = {"sites": sites(), "products": products(), "suppliers": suppliers()}
    made["customers"] = customers(dice("customers"))
    made["orders"], made["order_lines"] = orders(dice("orders"), made["customers"], today)
    made["deliveries"] = deliveries(dice("deliveries"), today)
    made["stock"] = stock(dice("stock"), today)
    made["stock_history"] = stock_history(dice("stock_history"), made["stock"], today)
    made["production"] = production(dice("production"), today)
    made["people"] = people(dice("people"), today)
    made["incidents"] = incidents(dice("incidents"), made["people"], today)
    made["service_cases"] = service_cases(dice("service_cases"), made["customers"], today)
    return made


def build_operations(target: Path | str, *, seed: int = 7, today: date = TODAY) -> dict[str, int]:
    """Write the database to a file (replaced when it exists) or a SQLAlchemy URL; rows per table are returned."""
    file: Path | None = None
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
        file, scratch = target, target.with_suffix(".building")
        scratch.unlink(missing_ok=True)
        target = f"sqlite:///{scratch}"
    meta = schema()
    engine = sa.create_engine(target)
    try:
        with engine.begin() as connection:
            meta.drop_all(connection)
            meta.create_all(connection)
            made = rows(seed, today)
            for name, table in meta.tables.items():
                connection.execute(table.insert(), made[name])
    finally:
        engine.dispose()
    if file is not None:  # appears whole or not at all
        file.with_suffix(".building").replace(file)
    return {name: len(made[name]) for name in meta.tables}
