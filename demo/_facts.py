"""The company's fixed facts (`demo/company.md`) as data for the generators."""

from datetime import date

TODAY = date(2026, 11, 20)
FIRST_DAY = date(2025, 1, 1)
SITES = {
    "Ghent": ("Belgium", "Headquarters and plant", 118, "Lotte Peeters"),
    "Porto": ("Portugal", "Plant and warehouse", 82, "Henrique Matos"),
    "Leeds": ("United Kingdom", "Warehouse and service centre", 40, "Margaret Okafor"),
}

# code, name, family, category, list price, unit cost, where built (or None), popularity
PRODUCTS: list[tuple[str, str, str, str, int, int, str | None, float]] = [
    ("HER-S", "Heron Short", "Heron", "bike", 3290, 1980, "Ghent", 16),
    ("HER-L", "Heron Long", "Heron", "bike", 3690, 2210, "Ghent", 18),
    ("HER-B", "Heron Belt", "Heron", "bike", 3990, 2380, "Ghent", 9),
    ("PEL-1", "Pelican One", "Pelican", "bike", 5190, 3110, "Porto", 14),
    ("PEL-F", "Pelican Family", "Pelican", "bike", 5790, 3420, "Porto", 17),
    ("PEL-C", "Pelican Cargo", "Pelican", "bike", 5990, 3560, "Porto", 8),
    ("ALB-200", "Albatross 200", "Albatross", "bike", 8900, 5450, "Porto", 5),
    ("ALB-300", "Albatross 300", "Albatross", "bike", 10900, 6700, "Porto", 3),
    ("WRN-1", "Wren One", "Wren", "trailer", 690, 370, "Ghent", 9),
    ("WRN-2", "Wren Two", "Wren", "trailer", 890, 460, "Ghent", 11),
    ("BAT-500", "Battery pack 500 Wh", "Parts", "part", 549, 310, None, 4),
    ("BAT-750", "Battery pack 750 Wh", "Parts", "part", 749, 420, None, 5),
    ("CHG-4", "Charger 4 A", "Parts", "part", 129, 61, None, 4),
    ("DSP-2", "Display unit 2", "Parts", "part", 149, 72, None, 3),
    ("MOT-85", "Mid motor 85 Nm", "Parts", "part", 899, 520, None, 1),
    ("BRK-HD", "Hydraulic brake set", "Parts", "part", 189, 88, None, 4),
    ("BLT-K", "Belt drive kit", "Parts", "part", 219, 104, None, 2),
    ("TYR-20", "Cargo tyre 20 inch", "Parts", "part", 39, 14, None, 6),
    ("RNC-F", "Rain cover Family", "Parts", "part", 159, 70, None, 4),
]

# id, name, city, country, what, lead time (days), contact, share of deliveries on time, products delivered
SUPPLIERS: list[tuple[str, str, str, str, str, int, str, float, tuple[str, ...]]] = [
    ("S01", "Nordcell", "Gothenburg", "Sweden", "battery packs", 28, "Anders Holm", 0.86, ("BAT-500", "BAT-750")),
    ("S02", "Tessaro Motori", "Vicenza", "Italy", "motors", 35, "Giulia Tessaro", 0.93, ("MOT-85",)),
    ("S03", "Vlaams Aluminium", "Genk", "Belgium", "frame sets", 14, "Dirk Vanhove", 0.96, ("FRM-SET",)),
    ("S04", "Quimera Componentes", "Braga", "Portugal", "brakes and wheels", 10, "Paulo Faria", 0.95, ("BRK-HD",)),
    ("S05", "Brightline Electronics", "Eindhoven", "Netherlands", "displays and chargers", 21, "Anouk Smits", 0.94,
     ("CHG-4", "DSP-2")),
    ("S06", "Halden Belts", "Halden", "Norway", "belt drives", 30, "Kari Moen", 0.92, ("BLT-K",)),
    ("S07", "Penistone Textiles", "Sheffield", "United Kingdom", "rain covers and canopies", 18, "Ruth Barlow", 0.9,
     ("RNC-F",)),
    ("S08", "Ostrava Forge", "Ostrava", "Czechia", "forks and box frames", 25, "Petr Novák", 0.88, ("FRK-BOX",)),
    ("S09", "Kuroda Tyres", "Osaka", "Japan", "tyres", 60, "Emi Kuroda", 0.91, ("TYR-20",)),
]
COMPONENTS = [("FRM-SET", "Frame set", 380), ("FRK-BOX", "Fork and box frame", 240)]

# name, kind, region, country, city, weight
CUSTOMERS: list[tuple[str, str, str, str, str, float]] = [
    ("PostNova", "fleet", "Benelux", "Netherlands", "Utrecht", 9),
    ("Hellebaut Fietsen", "dealer", "Benelux", "Belgium", "Ghent", 5),
    ("Velo Verde", "dealer", "Benelux", "Belgium", "Antwerp", 4),
    ("Stad Gent Mobility", "city", "Benelux", "Belgium", "Ghent", 3),
    ("Bakkerij Goossens Groep", "fleet", "Benelux", "Belgium", "Bruges", 2),
    ("Bicicletas Ribeira", "dealer", "Iberia", "Portugal", "Porto", 4),
    ("Câmara de Matosinhos", "city", "Iberia", "Portugal", "Matosinhos", 2),
    ("EntregaJá", "fleet", "Iberia", "Portugal", "Lisbon", 4),
    ("Yorkshire Family Bikes", "dealer", "UK & Ireland", "United Kingdom", "Leeds", 4),
    ("Northern Parcel Co-op", "fleet", "UK & Ireland", "United Kingdom", "Manchester", 4),
    ("Dublin Cargo Bikes", "dealer", "UK & Ireland", "Ireland", "Dublin", 3),
    ("Radwerk Köln", "dealer", "DACH", "Germany", "Cologne", 5),
    ("Fahrwerk München", "dealer", "DACH", "Germany", "Munich", 4),
    ("Cykelhuset Malmö", "dealer", "Nordics", "Sweden", "Malmö", 3),
    ("Mobilité Lille", "city", "France", "France", "Lille", 2),
    ("De Fietserij", "dealer", "Benelux", "Netherlands", "Rotterdam", 3),
    ("Bakfiets Noord", "dealer", "Benelux", "Netherlands", "Groningen", 2),
    ("Cargovelo Mechelen", "dealer", "Benelux", "Belgium", "Mechelen", 2),
    ("Vélo Liège", "dealer", "Benelux", "Belgium", "Liège", 2),
    ("Luxcycle", "dealer", "Benelux", "Luxembourg", "Luxembourg", 1),
    ("Rodas do Tejo", "dealer", "Iberia", "Portugal", "Lisbon", 3),
    ("Bici Galicia", "dealer", "Iberia", "Spain", "Vigo", 2),
    ("Cicles Gràcia", "dealer", "Iberia", "Spain", "Barcelona", 3),
    ("Reparto Madrid", "fleet", "Iberia", "Spain", "Madrid", 2),
    ("Calder Valley Cycles", "dealer", "UK & Ireland", "United Kingdom", "Halifax", 2),
    ("Forth Freight Bikes", "dealer", "UK & Ireland", "United Kingdom", "Edinburgh", 2),
    ("Bristol Pedal Works", "dealer", "UK & Ireland", "United Kingdom", "Bristol", 3),
    ("Leeds City Council", "city", "UK & Ireland", "United Kingdom", "Leeds", 1),
    ("Lastenrad Hamburg", "dealer", "DACH", "Germany", "Hamburg", 3),
    ("Wiener Lastenrad", "dealer", "DACH", "Austria", "Vienna", 2),
    ("Zürich Transport Velo", "dealer", "DACH", "Switzerland", "Zurich", 2),
    ("Stadtwerke Münster", "city", "DACH", "Germany", "Münster", 1),
    ("Lastcykel København", "dealer", "Nordics", "Denmark", "Copenhagen", 4),
    ("Oslo Familiesykkel", "dealer", "Nordics", "Norway", "Oslo", 2),
    ("Helsinki Kuorma", "fleet", "Nordics", "Finland", "Helsinki", 1),
    ("Atelier Vélo Paris", "dealer", "France", "France", "Paris", 3),
    ("Cyclofret Nantes", "fleet", "France", "France", "Nantes", 2),
    ("Biclou Lyon", "dealer", "France", "France", "Lyon", 2),
    ("Larkspur webshop Benelux", "webshop", "Benelux", "Belgium", "Ghent", 12),
    ("Larkspur webshop UK", "webshop", "UK & Ireland", "United Kingdom", "Leeds", 7),
    ("Larkspur webshop Iberia", "webshop", "Iberia", "Portugal", "Porto", 5),
]

# name, role, department, site, groups
NAMED_PEOPLE: list[tuple[str, str, str, str, str]] = [
    ("Saskia De Wilde", "Chief executive", "Management", "Ghent", "managers"),
    ("Marc Willems", "Chief financial officer", "Finance", "Ghent", "finance,managers"),
    ("Clara Whitfield", "Finance lead", "Finance", "Ghent", "finance,managers"),
    ("Hannah Doyle", "Payroll and expenses", "Finance", "Leeds", "finance"),
    ("Femke Bogaert", "Head of people", "People", "Ghent", "people,managers"),
    ("Bruno Esteves", "People partner", "People", "Porto", "people"),
    ("Joris Maes", "Head of supply chain", "Operations", "Ghent", "operations,managers"),
    ("Ada Verhulst", "Operations planner", "Operations", "Ghent", "operations"),
    ("Karel Dhondt", "Production planner", "Operations", "Ghent", "operations"),
    ("Sofia Almeida", "Production planner", "Operations", "Porto", "operations"),
    ("Elin Bergström", "Buyer, batteries and electronics", "Purchasing", "Ghent", "operations"),
    ("Matteo Ricci", "Buyer, frames and drive", "Purchasing", "Porto", "operations"),
    ("Lotte Peeters", "Plant manager", "Production", "Ghent", "managers"),
    ("Henrique Matos", "Plant manager", "Production", "Porto", "managers"),
    ("Margaret Okafor", "Site lead", "Logistics", "Leeds", "managers"),
    ("Rita Lopes", "Warehouse lead", "Logistics", "Porto", "operations"),
    ("Owen Price", "Warehouse lead", "Logistics", "Leeds", "operations"),
    ("Inês Carvalho", "Quality manager", "Quality", "Porto", "operations"),
    ("Nadia Benali", "Head of product safety", "Quality", "Ghent", "managers"),
    ("Daniel Hughes", "Service centre manager", "Service", "Leeds", "managers"),
    ("Yusuf Demir", "Customer care lead", "Service", "Ghent", ""),
    ("Wouter Jansens", "Head of sales", "Sales", "Ghent", "managers"),
    ("Aoife Byrne", "Marketing lead", "Marketing", "Leeds", ""),
    ("Tom Akkerman", "Head of IT", "IT", "Ghent", "desk,managers"),
    ("Priya Raman", "Service desk lead", "IT", "Leeds", "desk"),
    ("Tiago Nunes", "IT administrator", "IT", "Porto", "desk"),
    ("Lucas Moreau", "Head of engineering", "Engineering", "Ghent", "managers"),
    ("Greta Lindqvist", "Legal counsel", "Legal", "Ghent", "managers"),
    ("Pieter Goossens", "Safety and environment officer", "Production", "Ghent", ""),
    ("Bram Cools", "Data analyst", "Operations", "Ghent", "operations"),
]

RECALL_BATCH = "NC-2604"
RECALL_SOLD, RECALL_CLOSED, RECALL_QUARANTINED = 318, 281, 94


def email_of(name: str) -> str:
    """`Inês Carvalho` → `ines.carvalho@larkspur.example`."""
    import unicodedata

    plain = unicodedata.normalize("NFKD", name.replace("ø", "o").replace("ł", "l"))
    letters = "".join(c for c in plain if c.isascii() and (c.isalpha() or c in " -"))
    first, *rest = letters.lower().split()
    return f"{first}.{''.join(rest)}@larkspur.example"
