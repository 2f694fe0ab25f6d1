"""Who works here and what goes wrong: people, incidents, service cases."""

import random
from datetime import date, datetime, time, timedelta
from typing import Any

from demo._facts import (
    NAMED_PEOPLE,
    PRODUCTS,
    RECALL_BATCH,
    RECALL_CLOSED,
    RECALL_SOLD,
    SITES,
    email_of,
)

Row = dict[str, Any]
FIRST = {
    "Ghent": "Anke Bart Celine Dries Eva Filip Griet Hans Ilse Jef Katrien Lien Maarten Nele Olivier Pauline Ruben Sara "
             "Thijs Veerle Wim Yara Zeno Fatima Mehmet".split(),
    "Porto": "Ana Beatriz Carlos Diana Eduardo Filipa Gonçalo Helena Ivo Joana Luís Mariana Nuno Olga Pedro Raquel Rui "
             "Sandra Tomás Vera Xavier Miguel Leonor".split(),
    "Leeds": "Alice Ben Chloe Dev Emma Faisal Grace Harry Imogen Jack Kiran Laura Mo Nina Oliver Poppy Rhys Sam Tara "
             "Umar Zoe".split(),
}
LAST = {
    "Ghent": "Aerts Baert Claes Dubois Eeckhout Fierens Geerts Hermans Ingels Janssens Kerkhof Lambrecht Michiels "
             "Naessens Pauwels Rombouts Segers Thys Vermeulen Wouters Yilmaz".split(),
    "Porto": "Araújo Barbosa Cardoso Duarte Fonseca Gomes Henriques Lima Machado Neves Oliveira Pinto Ramos Santos "
             "Teixeira Vieira Moreira Correia".split(),
    "Leeds": "Ahmed Barker Cooper Dixon Ellis Foster Green Hill Iqbal Jones Khan Lewis Morgan Patel Reed Shaw Turner "
             "Ward Young".split(),
}
DEPARTMENTS = {  # department: share per site, roles, bands
    "Production": ((60, 46, 0), ("Assembler", "Welder", "Painter", "Team lead, assembly"), ("B1", "B2", "C1")),
    "Logistics": ((9, 12, 16), ("Warehouse operative", "Dispatcher", "Forklift driver"), ("B1", "B2")),
    "Service": ((5, 3, 14), ("Service technician", "Customer care agent"), ("B2", "C1")),
    "Engineering": ((12, 4, 0), ("Design engineer", "Test engineer", "Firmware engineer"), ("C2", "D1")),
    "Sales": ((8, 4, 3), ("Account manager", "Sales support"), ("C1", "C2")),
    "Quality": ((3, 4, 0), ("Quality inspector",), ("B2", "C1")),
    "IT": ((3, 1, 1), ("Application engineer", "Support technician"), ("C1", "C2")),
    "Finance": ((3, 2, 1), ("Accountant", "Controller"), ("C1", "C2")),
    "People": ((2, 1, 1), ("People adviser", "Recruiter"), ("C1",)),
}
BY_NAME_BANDS = {"Management": "F2", "Finance": "D2", "People": "D1"}


def people(dice: random.Random, today: date) -> list[Row]:
    """The directory: those who are named, then as many others as each site employs, then some who left."""
    made = [
        {"name": name, "role": role, "department": department, "site": site,
         "salary_band": BY_NAME_BANDS.get(department, "E1" if "managers" in groups else "C2")}
        for name, role, department, site, groups in NAMED_PEOPLE
    ]
    for extra in (("Marta Figueiredo", "Porto"), ("Callum Reid", "Leeds"), ("Jonas Albrecht", "Ghent"), ("Camille Laurent", "Ghent")):
        made.append({"name": extra[0], "role": "Account manager", "department": "Sales", "site": extra[1], "salary_band": "C2"})
    taken = {row["name"] for row in made}
    for index, (site, (_, _, headcount, _)) in enumerate(SITES.items()):
        weights = [share[0][index] for share in DEPARTMENTS.values()]
        while sum(row["site"] == site for row in made) < headcount:
            name = f"{dice.choice(FIRST[site])} {dice.choice(LAST[site])}"
            if name in taken:
                continue
            taken.add(name)
            department = dice.choices(list(DEPARTMENTS), weights)[0]
            _, roles, bands = DEPARTMENTS[department]
            made.append({"name": name, "role": dice.choice(roles), "department": department, "site": site,
                         "salary_band": dice.choice(bands)})
    leads = {("Production", "Ghent"): "Lotte Peeters", ("Production", "Porto"): "Henrique Matos", ("Service", "Leeds"): "Daniel Hughes",
             ("Logistics", "Porto"): "Rita Lopes", ("Logistics", "Leeds"): "Owen Price"}
    heads = {"Finance": "Marc Willems", "People": "Femke Bogaert", "Operations": "Joris Maes", "Purchasing": "Joris Maes",
             "Production": "Lotte Peeters", "Logistics": "Joris Maes", "Quality": "Nadia Benali", "Service": "Yusuf Demir",
             "Sales": "Wouter Jansens", "IT": "Tom Akkerman", "Engineering": "Lucas Moreau", "Marketing": "Wouter Jansens"}
    current = len(made)
    for _ in range(14):
        site = dice.choice(list(SITES))
        made.append({"name": f"{dice.choice(FIRST[site])} {dice.choice(LAST[site])}-Moss", "role": "Assembler",
                     "department": "Production", "site": site, "salary_band": "B1"})
    for number, row in enumerate(made, 1):
        manager = leads.get((row["department"], row["site"]), heads.get(row["department"], "Saskia De Wilde"))
        started = date(2014, 5, 1) if row["name"] in {"Saskia De Wilde", "Lucas Moreau"} else date(2015, 1, 1) + timedelta(days=dice.randint(0, 4250))
        gone = number > current
        row.update(
            person_id=f"P{number:04}", email=email_of(row["name"]),
            manager=None if row["name"] == "Saskia De Wilde" else ("Saskia De Wilde" if manager == row["name"] else manager),
            started_on=min(started, today - timedelta(days=400)) if gone else started,
            left_on=today - timedelta(days=dice.randint(10, 380)) if gone else None, phone_ext=f"{4000 + number}",
            fte=dice.choices((1.0, 0.8, 0.6), (86, 11, 3))[0],
            remote_days=0 if row["department"] in {"Production", "Logistics", "Service"} else dice.choice((0, 1, 2, 2)),
        )
    return made


SYSTEMS = {  # system: typical troubles
    "Kestrel": ("Order cannot be released", "Invoice run failed", "Price list not updated", "Slow month-end report"),
    "Dockside": ("Hand scanners offline", "Pick list missing", "Label printer stuck", "Stock count differs"),
    "Loom": ("Work order not shown at station", "Torque log missing", "Station terminal frozen"),
    "Harbour": ("Webshop checkout error", "Customer record duplicated", "E-mail confirmation not sent"),
    "Gatehouse": ("Cannot sign in", "VPN drops", "Passkey not accepted", "Account locked"),
    "Paint line": ("Oven temperature alarm", "Nozzle blocked", "Conveyor stop"),
    "Battery tester": ("Calibration out of range", "Test bench disconnects", "Result not stored"),
}
CAUSES = ("software fault", "configuration", "hardware", "supplier", "operator error", "network", "unknown")


def incidents(dice: random.Random, staff: list[Row], today: date) -> list[Row]:
    """Incidents of both years; INC-2026-0914 is the warehouse system standing still in Leeds."""
    made: list[Row] = []
    fixers = ["Priya Raman", "Tiago Nunes", "Tom Akkerman"] + [p["name"] for p in staff if p["department"] == "IT"][3:7]
    big = date(2026, 9, 14)
    stretches = [(date(2025, 1, 1), date(2025, 12, 31), 1204), (date(2026, 1, 1), big - timedelta(days=1), 913), (big, big, 0),
                 (big + timedelta(days=1), today, 236)]
    number, year = 0, 0
    for start, end, count in stretches:
        days = sorted(start + timedelta(days=dice.randint(0, (end - start).days)) for _ in range(count))
        if start == big:
            days = [big]
        for day in days:
            number, year = (number + 1, year) if day.year == year else (1, day.year)
            made.append(_incident(dice, f"INC-{day.year}-{number:04}", day, fixers, today, big=day == big and start == big))
    for row in made:
        if row["incident_id"] == "INC-2026-0255":
            row.update(title="Paint line burner control failed", severity=1, site="Ghent", system="Paint line",
                       opened_at="2026-03-10 06:40", closed_at="2026-03-12 17:15", status="closed", cause="hardware")
    for row in made:
        ends = row["closed_at"]
        spent = ends and datetime.fromisoformat(ends) - datetime.fromisoformat(row["opened_at"])
        row["opened_on"] = date.fromisoformat(row["opened_at"][:10])
        row["hours_to_close"] = round(spent.total_seconds() / 3600, 1) if spent else None
    made.sort(key=lambda row: row["incident_id"])
    return made


def _incident(dice: random.Random, name: str, day: date, fixers: list[str], today: date, *, big: bool) -> Row:
    if big:
        return {"incident_id": name, "title": "Dockside down: no picking or dispatch", "severity": 1, "site": "Leeds",
                "system": "Dockside", "opened_at": "2026-09-14 07:25", "closed_at": "2026-09-14 13:45", "status": "closed",
                "owner": "Priya Raman", "cause": "configuration"}
    system = dice.choices(list(SYSTEMS), (20, 22, 14, 12, 22, 5, 5))[0]
    site = {"Paint line": "Ghent", "Battery tester": "Porto"}.get(system) or dice.choices(list(SITES), (48, 32, 20))[0]
    severity = dice.choices((1, 2, 3, 4), (1, 9, 45, 45))[0]
    opened = datetime.combine(day, time(dice.randint(6, 18), dice.randint(0, 59)))
    hours = dice.lognormvariate(0, 0.7) * {1: 3.2, 2: 14, 3: 52, 4: 130}[severity]
    closed = opened + timedelta(hours=hours)
    still = closed.date() > today or (severity >= 3 and dice.random() < 0.008)
    return {
        "incident_id": name, "title": dice.choice(SYSTEMS[system]), "severity": severity, "site": site, "system": system,
        "opened_at": f"{opened:%Y-%m-%d %H:%M}", "closed_at": None if still else f"{closed:%Y-%m-%d %H:%M}",
        "status": "open" if still else "closed", "owner": dice.choice(fixers), "cause": "" if still else dice.choice(CAUSES),
    }


SYMPTOMS = {
    "bike": ("Motor cuts out", "Brake squeals", "Display stays dark", "Spoke broken", "Noise in bottom bracket", "Lock jammed"),
    "trailer": ("Canopy zip torn", "Coupling loose", "Wheel wobbles"),
    "part": ("Does not charge", "Dead on arrival", "Wrong part sent", "Cracked housing"),
}


def service_cases(dice: random.Random, buyers: list[Row], today: date) -> list[Row]:
    """Warranty, repair, return and complaint cases, and one recall case for each pack of the batch that was sold."""
    made: list[Row] = []
    weights = [p[7] for p in PRODUCTS]
    sites_of = {"Benelux": "Ghent", "Iberia": "Porto", "UK & Ireland": "Leeds"}
    for _ in range(2380):
        opened = date(2025, 1, 2) + timedelta(days=int(687 * dice.betavariate(1.25, 1.0)))
        product = dice.choices(PRODUCTS, weights)[0]
        kind = dice.choices(("warranty", "repair", "return", "complaint"), (44, 30, 15, 11))[0]
        made.append(_case(dice, kind, product, opened, dice.choice(buyers), today, sites_of))
    battery = next(p for p in PRODUCTS if p[0] == "BAT-750")
    for number in range(RECALL_SOLD):
        opened = date(2026, 6, 15) + timedelta(days=dice.randint(0, 30))
        case = _case(dice, "recall", battery, opened, dice.choice(buyers), today, sites_of)
        closed = min(opened + timedelta(days=dice.randint(8, 110)), today)
        done = number < RECALL_CLOSED
        case.update(batch=RECALL_BATCH, symptom="Recall RC-2026-02: replace pack", cost_eur=455.0 if done else 0.0,
                    closed_on=closed if done else None, status="closed" if done else "open")
        made.append(case)
    made.sort(key=lambda row: row["opened_on"])
    for number, row in enumerate(made, 1):
        row["case_id"] = f"SC-{number:05}"
    return made


def _case(dice: random.Random, kind: str, product: Any, opened: date, buyer: Row, today: date, sites_of: dict[str, str]) -> Row:
    opened = min(opened, today)
    closed = opened + timedelta(days=max(1, round(dice.lognormvariate(2.1, 0.6))))
    still = closed > today
    return {
        "kind": kind, "product_code": product[0], "customer_id": buyer["customer_id"], "site": sites_of.get(buyer["region"], "Ghent"),
        "opened_on": opened, "closed_on": None if still else closed, "status": "open" if still else "closed",
        "symptom": dice.choice(SYMPTOMS[product[3]]), "batch": None,
        "cost_eur": 0.0 if still else round(dice.lognormvariate(4.2, 0.7), 2),
    }
