"""What comes in, lies there and is built: deliveries, stock, production."""

import random
from datetime import date, timedelta
from typing import Any

from demo._facts import COMPONENTS, FIRST_DAY, PRODUCTS, RECALL_BATCH, SUPPLIERS

Row = dict[str, Any]
NAMES = {p[0]: p[1] for p in PRODUCTS} | {c[0]: c[1] for c in COMPONENTS}
COSTS = {p[0]: p[5] for p in PRODUCTS} | {c[0]: c[2] for c in COMPONENTS}
QUANTITIES = {"BAT-500": 180, "BAT-750": 220, "MOT-85": 160, "FRM-SET": 140, "FRK-BOX": 110, "BRK-HD": 240,
              "CHG-4": 200, "DSP-2": 180, "BLT-K": 90, "TYR-20": 600, "RNC-F": 80}
NORDCELL_TURNED = date(2026, 9, 1)


def deliveries(dice: random.Random, today: date) -> list[Row]:
    """Every delivery from a supplier, received or still due, oldest promise first."""
    made: list[Row] = []
    for supplier_id, name, _, _, _, lead, _, on_time, codes in SUPPLIERS:
        for code in codes:
            for site, every in (("Ghent", 13), ("Porto", 4 if supplier_id == "S01" else 11), ("Leeds", 47)):
                if site == "Leeds" and code in {"FRM-SET", "FRK-BOX", "MOT-85"}:
                    continue
                promised = FIRST_DAY + timedelta(days=dice.randint(0, every))
                while promised <= today + timedelta(days=lead + 10):
                    promised = _workday(promised)
                    made.append(_delivery(dice, supplier_id, name, site, code, promised, lead, on_time, today))
                    promised += timedelta(days=every + dice.randint(-3, 4))
    made = [row for row in made if not _superseded(row)] + _on_purpose()
    made.sort(key=lambda row: (row["promised_on"], row["supplier_id"], row["site"], row["product_code"]))
    for number, row in enumerate(made, 1):
        row["delivery_id"] = f"DL-{number:05}"
    return made


def _delivery(dice: random.Random, supplier_id: str, name: str, site: str, code: str, promised: date, lead: int,
              on_time: float, today: date) -> Row:
    turned = name == "Nordcell" and site == "Porto" and promised >= NORDCELL_TURNED
    reliable = 0.18 if turned else on_time
    delay = -dice.choice((0, 0, 1, 2)) if dice.random() < reliable else dice.choice((1, 2, 3, 5, 8))
    if turned and delay > 0:
        delay += dice.randint(4, 14)
    expected = _workday(promised + timedelta(days=delay))
    quantity = round(QUANTITIES[code] * dice.uniform(0.6, 1.3) * (0.3 if site == "Leeds" else 1), -1)
    received = expected if expected <= today else None
    return {
        "supplier_id": supplier_id, "site": site, "product_code": code, "product": NAMES[code],
        "quantity": int(quantity), "batch": f"{name[:2].upper()}-{promised:%y%W}", "ordered_on": promised - timedelta(days=lead),
        "promised_on": promised, "expected_on": expected if received is None else None, "received_on": received,
        "status": "received" if received else ("overdue" if promised < today else "due"),
        "value_eur": round(quantity * COSTS[code], 2),
    }


def _superseded(row: Row) -> bool:
    # These weeks are told by `_on_purpose`.
    if row["product_code"] != "BAT-750" or row["site"] == "Leeds":
        return False
    return (date(2026, 4, 6) <= row["promised_on"] <= date(2026, 4, 17)
            or (row["site"] == "Porto" and date(2026, 10, 19) <= row["promised_on"] <= date(2026, 12, 4)))


def _on_purpose() -> list[Row]:
    plan = [  # site, quantity, batch, promised, expected, received
        ("Porto", 260, RECALL_BATCH, date(2026, 4, 9), None, date(2026, 4, 9)),
        ("Ghent", 152, RECALL_BATCH, date(2026, 4, 14), None, date(2026, 4, 14)),
        ("Porto", 40, "NO-2642", date(2026, 10, 20), None, date(2026, 11, 4)),
        ("Porto", 240, "NO-2644", date(2026, 11, 6), date(2026, 11, 24), None),
        ("Porto", 200, "NO-2648", date(2026, 12, 1), date(2026, 12, 4), None),
    ]
    return [
        {"supplier_id": "S01", "site": site, "product_code": "BAT-750", "product": NAMES["BAT-750"], "quantity": quantity,
         "batch": batch, "ordered_on": promised - timedelta(days=28), "promised_on": promised, "expected_on": expected,
         "received_on": received, "value_eur": float(quantity * COSTS["BAT-750"]),
         "status": "received" if received else ("overdue" if promised < date(2026, 11, 20) else "due")}
        for site, quantity, batch, promised, expected, received in plan
    ]


def stock(dice: random.Random, today: date) -> list[Row]:
    """What lies where; nothing of the Pelican Family and of the large battery in Porto."""
    made = []
    for code, _, family, category, *_rest in PRODUCTS:
        for site, share in (("Ghent", 1.0), ("Porto", 0.8), ("Leeds", 0.45)):
            base = {"bike": 34, "trailer": 60, "part": 140}[category] * (0.35 if family == "Albatross" else 1) * share
            reorder = max(3, int(base * 0.45))
            on_hand = max(0, int(base * dice.uniform(0.35, 1.5)))
            quarantined = 0
            if (code, site) in {("PEL-F", "Porto"), ("BAT-750", "Porto")}:
                on_hand = 0
            if code == "BAT-750":
                quarantined = {"Porto": 61, "Ghent": 33, "Leeds": 0}[site]
            made.append({
                "site": site, "product_code": code, "on_hand": on_hand, "reserved": int(on_hand * dice.uniform(0, 0.4)),
                "quarantined": quarantined, "reorder_point": reorder,
                "counted_on": today - timedelta(days=dice.randint(0, 6)),
            })
    return made


def stock_history(dice: random.Random, current: list[Row], today: date) -> list[Row]:
    """Stock every Monday, walking back from what lies there now."""
    made = []
    for row in current:
        level = float(row["on_hand"])
        day = today - timedelta(days=today.weekday())
        out_since = date(2026, 10, 27) if row["product_code"] == "PEL-F" and row["site"] == "Porto" else None
        while day >= FIRST_DAY:
            if out_since and day >= out_since:
                on_hand = 0
            else:
                if out_since and level == 0:
                    level = 4
                on_hand = max(1 if out_since else 0, round(level))
                level += (row["reorder_point"] * 2 - level) * 0.15 + dice.gauss(0, row["reorder_point"] * 0.18)
                level = max(level, 0)
            made.append({"site": row["site"], "product_code": row["product_code"], "counted_on": day, "on_hand": on_hand})
            day -= timedelta(weeks=1)
    return made


def production(dice: random.Random, today: date) -> list[Row]:
    """Planned and built by week, plant and model."""
    made = []
    week = date(2024, 12, 30)
    while week <= today:
        season = 0.6 if week.isocalendar().week in {1, 31, 32, 33, 52, 53} else 1.0
        for code, _, family, category, _, _, built, popularity in PRODUCTS:
            if built is None or category == "part":
                continue
            planned = max(1, round(popularity * 1.62 * season * (1.08 if week.year == 2026 else 1)))
            downtime = round(max(0.0, dice.gauss(1.2, 1.5)), 1)
            rate = dice.uniform(0.9, 1.04)
            if family == "Heron" and week == date(2026, 3, 9):
                rate, downtime = 0.42, 20.5
            if family in {"Pelican", "Albatross"} and week >= date(2026, 9, 28):
                rate *= 0.62 if week >= date(2026, 10, 19) else 0.8
            produced = round(planned * rate)
            scrapped = sum(dice.random() < (0.031 if built == "Ghent" else 0.022) for _ in range(produced))
            made.append({"site": built, "week_start": week, "product_code": code, "planned": planned, "produced": produced,
                         "scrapped": scrapped, "downtime_h": downtime})
        week += timedelta(weeks=1)
    return made


def _workday(day: date) -> date:
    return day + timedelta(days=(7 - day.weekday()) if day.weekday() >= 5 else 0)
