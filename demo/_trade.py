"""Who buys what: sites, products, suppliers, customers, orders and their lines."""

import random
from collections import Counter
from datetime import date, timedelta
from typing import Any

from demo._facts import CUSTOMERS, FIRST_DAY, PRODUCTS, SITES, SUPPLIERS, email_of

Row = dict[str, Any]
SHIPS_FROM = {"Benelux": "Ghent", "DACH": "Ghent", "Nordics": "Ghent", "France": "Ghent", "Iberia": "Porto",
              "UK & Ireland": "Leeds"}
# Cargo bikes sell in spring; the end of the year is quiet, but fleets spend their budgets in December.
SEASON = (0.62, 0.74, 1.08, 1.35, 1.42, 1.30, 1.04, 0.88, 1.12, 1.00, 0.80, 0.72)
PROMISE_WORKING_DAYS = {"Heron": 15, "Wren": 15, "Pelican": 20, "Albatross": 35, "Parts": 5}
STOCKOUT_FROM = date(2026, 10, 27)


def sites() -> list[Row]:
    """The three sites."""
    return [{"site": s, "country": c, "purpose": p, "manager": m} for s, (c, p, _, m) in SITES.items()]


def products() -> list[Row]:
    """Bikes, trailers and parts."""
    return [
        {"product_code": code, "product": name, "family": family, "category": category, "list_price_eur": float(price),
         "unit_cost_eur": float(cost), "built_in": built}
        for code, name, family, category, price, cost, built, _ in PRODUCTS
    ]


def suppliers() -> list[Row]:
    """The nine suppliers."""
    return [
        {"supplier_id": i, "supplier": n, "city": city, "country": country, "supplies": what, "lead_time_days": lead,
         "contact": contact, "contact_email": f"{email_of(contact).split('@')[0]}@{n.lower().replace(' ', '-')}.example",
         "payment_terms_days": 45 if i in {"S01", "S09"} else 30}
        for i, n, city, country, what, lead, contact, _, _ in SUPPLIERS
    ]


def customers(dice: random.Random) -> list[Row]:
    """Dealers, fleets, cities and the webshops."""
    managers = {"Benelux": "Wouter Jansens", "Iberia": "Marta Figueiredo", "UK & Ireland": "Callum Reid",
                "DACH": "Jonas Albrecht", "Nordics": "Jonas Albrecht", "France": "Camille Laurent"}
    made = []
    for number, (name, kind, region, country, city, weight) in enumerate(CUSTOMERS, 1):
        made.append({
            "customer_id": f"C{number:03}", "customer": name, "kind": kind, "region": region, "country": country,
            "city": city, "customer_since": date(dice.randint(2015, 2024), dice.randint(1, 12), dice.randint(1, 28)),
            "account_manager": managers[region], "credit_limit_eur": float(round(weight * 45_000, -4) + 20_000),
        })
    return made


def add_working_days(start: date, days: int) -> date:
    """`start` plus working days, Monday to Friday."""
    weeks, rest = divmod(days, 5)
    end = start + timedelta(weeks=weeks)
    while rest:
        end += timedelta(days=1)
        rest -= end.weekday() < 5
    return end


def orders(dice: random.Random, buyers: list[Row], today: date) -> tuple[list[Row], list[Row]]:
    """Every order since `FIRST_DAY`, and its lines."""
    weights = [c[5] for c in CUSTOMERS]
    made: list[Row] = []
    lines: list[Row] = []
    day, counter = FIRST_DAY, Counter[int]()
    while day <= today:
        growth = 1.0 if day.year == 2025 else 1.09
        weekend = 0.25 if day.weekday() >= 5 else 1.0
        for _ in range(_poisson(dice, 7.2 * SEASON[day.month - 1] * growth * weekend)):
            buyer = dice.choices(buyers, weights)[0]
            if day.weekday() >= 5 and buyer["kind"] != "webshop":
                continue
            counter[day.year] += 1
            order_id = f"SO-{day.year}-{counter[day.year]:05}"
            own = _lines(dice, order_id, buyer["kind"])
            made.append(_order(dice, order_id, buyer, day, own, today))
            lines.extend(own)
        day += timedelta(days=1)
    return made, lines


def _order(dice: random.Random, order_id: str, buyer: Row, day: date, own: list[Row], today: date) -> Row:
    codes = {line["product_code"] for line in own}
    families = [p[2] for p in PRODUCTS if p[0] in codes]
    promise = max(PROMISE_WORKING_DAYS[f] for f in families)
    if buyer["kind"] == "webshop":
        promise = min(promise, 10)
    promised = add_working_days(day, promise)
    slip = dice.choices([-4, -2, -1, 0, 1, 3, 8, 15], [14, 22, 26, 22, 6, 5, 3, 2])[0]
    if "Pelican" in families and promised >= STOCKOUT_FROM - timedelta(days=18):
        slip += dice.choices([0, 6, 14, 24, 35], [3, 3, 3, 3, 2])[0]
    if "Heron" in families and date(2026, 3, 9) <= promised <= date(2026, 3, 27):
        slip += dice.choices([0, 4, 7], [2, 3, 2])[0]
    site = SHIPS_FROM[buyer["region"]]
    waits_for_family = "PEL-F" in codes and site == "Porto" and promised >= STOCKOUT_FROM
    shipped = add_working_days(promised, slip) if slip > 0 else promised + timedelta(days=slip)
    shipped = max(shipped, day + timedelta(days=1))
    status = "shipped"
    if dice.random() < 0.018:
        status, shipped = "cancelled", None
    elif shipped > today or (waits_for_family and dice.random() < 0.85):
        status, shipped = "open", None
        if dice.random() < 0.04:
            status = "on_hold"
    total = sum(x["quantity"] * x["unit_price_eur"] * (1 - x["discount_pct"] / 100) for x in own)
    return {
        "order_id": order_id, "customer_id": buyer["customer_id"], "site": site,
        "channel": {"webshop": "webshop", "dealer": "dealer portal"}.get(buyer["kind"], "key account"),
        "ordered_on": day, "promised_on": promised, "shipped_on": shipped, "status": status,
        "total_eur": round(total, 2),
    }


def _lines(dice: random.Random, order_id: str, kind: str) -> list[Row]:
    size, discount = {"webshop": (1, 0), "dealer": (3, 22), "city": (6, 15), "fleet": (7, 18)}[kind]
    weights = [p[7] * (4 if kind == "fleet" and p[2] == "Albatross" else 1) * (0.2 if kind == "city" and p[3] == "trailer" else 1)
               for p in PRODUCTS]
    count = dice.choices([1, 2, 3], [6, 3, 1])[0]
    chosen: list[Any] = []
    while len(chosen) < count:
        product = dice.choices(PRODUCTS, weights)[0]
        if product not in chosen:
            chosen.append(product)
    lines = []
    for number, (code, _, _, category, price, _, _, _) in enumerate(chosen, 1):
        quantity = 1 if kind == "webshop" and category != "part" else max(1, round(dice.lognormvariate(0, 0.6) * size))
        if category == "part":
            quantity = max(1, quantity * (1 if kind == "webshop" else 3))
        returned = quantity if kind == "webshop" and dice.random() < 0.05 else int(dice.random() < 0.012)
        lines.append({
            "order_id": order_id, "line": number, "product_code": code, "quantity": quantity,
            "unit_price_eur": float(price), "discount_pct": float(discount), "returned_quantity": returned,
        })
    return lines


def _poisson(dice: random.Random, mean: float) -> int:
    limit, product, count = 2.718281828459045 ** -mean, dice.random(), 0
    while product > limit:
        product *= dice.random()
        count += 1
    return count
