"""The demo's Word, Excel and PowerPoint documents."""

from datetime import datetime
from pathlib import Path

from docx import Document
from openpyxl import Workbook
from pptx import Presentation

Row = list[str | int | float]
Slide = tuple[str, list[str]]


def _docx(path: Path, title: str, author: str, written: datetime, parts: list[tuple[str, str | list[str]]]) -> None:
    document = Document()
    document.core_properties.title = title
    document.core_properties.author = author
    document.core_properties.created = document.core_properties.modified = written
    document.add_heading(title, 0)
    for heading, body in parts:
        document.add_heading(heading, 1)
        if isinstance(body, str):
            document.add_paragraph(body)
        else:
            for item in body:
                document.add_paragraph(item, style="List Number")
    document.save(str(path))


def _xlsx(path: Path, title: str, author: str, written: datetime, sheets: dict[str, list[Row]]) -> None:
    book = Workbook()
    book.properties.title = title
    book.properties.creator = author
    book.properties.created = book.properties.modified = written
    for number, (name, rows) in enumerate(sheets.items()):
        sheet = book.active if number == 0 else book.create_sheet()
        sheet.title = name
        for row in rows:
            sheet.append(row)
    book.save(str(path))


def _pptx(path: Path, title: str, author: str, written: datetime, slides: list[Slide]) -> None:
    deck = Presentation()
    deck.core_properties.title = title
    deck.core_properties.author = author
    deck.core_properties.created = deck.core_properties.modified = written
    cover = deck.slides.add_slide(deck.slide_layouts[0])
    cover.shapes.title.text = title
    cover.placeholders[1].text = f"{author}, {written:%d %B %Y}"
    for heading, points in slides:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = heading
        slide.placeholders[1].text = "\n".join(points)
    deck.save(str(path))


def onboarding(folder: Path) -> None:
    """What a new colleague does in the first month."""
    _docx(
        folder / "people" / "onboarding.docx",
        "Your first month at Larkspur",
        "Bruno Esteves",
        datetime(2026, 5, 2),
        [
            (
                "Before the first day",
                [
                    "People sends the contract and asks for your bank details.",
                    "The service desk orders your laptop, four weeks ahead.",
                    "Your manager names a buddy from another team.",
                ],
            ),
            (
                "First day",
                [
                    "Collect your badge at the reception of your site at 9:00.",
                    "Set up your passkey for Gatehouse with the service desk.",
                    "Safety tour with the safety officer: nobody enters the plant without it.",
                    "Lunch with your buddy; Larkspur pays.",
                ],
            ),
            (
                "First month",
                [
                    "Build a Heron with the team in Ghent or a Pelican with the team in Porto: two days, for every role.",
                    "Finish the courses on data protection and working safely within 14 days.",
                    "Talk with your manager about your goals in week four.",
                ],
            ),
            ("Trial period", "The trial period is three months in Leeds and Porto; Belgian law knows none."),
        ],
    )


def paint_line_restart(folder: Path) -> None:
    """The procedure written after the stop in March."""
    _docx(
        folder / "operations" / "runbooks" / "paint-line-restart.docx",
        "Restarting the paint line in Ghent",
        "Lotte Peeters",
        datetime(2026, 3, 20),
        [
            (
                "Background",
                "From 10 to 12 March 2026 the paint line stood still for two and a half days because the controller of the "
                "burner failed. A spare controller has been on site since then, in cabinet C4.",
            ),
            (
                "Restart",
                [
                    "Close the gas valve and wait ten minutes with the ventilation on.",
                    "Reset the burner controller; if error F3 stays, change it (cabinet C4).",
                    "Heat the oven to 120 °C and hold it for 20 minutes, then go on to 190 °C.",
                    "Paint three scrap frames and check the layer: 60 to 90 micrometres.",
                    "Only then release the line in Loom; the shift leader signs.",
                ],
            ),
            ("Who to call", "Burner service: Vlamtec, contract VT-2219, within four hours, day and night."),
        ],
    )


def recall_letter(folder: Path) -> None:
    """The letter that customers got."""
    _docx(
        folder / "quality" / "recall-letter.docx",
        "Letter to customers: recall RC-2026-02",
        "Nadia Benali",
        datetime(2026, 6, 16),
        [
            (
                "Dear customer",
                "Your Pelican or Albatross may have a battery pack of batch NC-2604. Its cells may overheat when it is charged "
                "below 0 °C. According to what we know today 389 packs are affected.",
            ),
            (
                "Please do this",
                [
                    "Charge the pack only above 5 °C and stay near it.",
                    "Look at the label under the handle for the batch.",
                    "Register at larkspur.example/recall; the replacement is free.",
                ],
            ),
            (
                "We are sorry",
                "No one has been hurt. We want it to stay like this. Nadia Benali, head of product safety",
            ),
        ],
    )


def workbooks(folder: Path) -> None:
    """Catalogue, torques, salary bands, budget."""
    _xlsx(
        folder / "products" / "catalogue-2026.xlsx",
        "Catalogue 2026",
        "Wouter Jansens",
        datetime(2026, 1, 5),
        {"Bikes and trailers": _CATALOGUE, "Parts": _PARTS},
    )
    _xlsx(
        folder / "quality" / "torque-table.xlsx",
        "Torque table",
        "Inês Carvalho",
        datetime(2026, 5, 4),
        {"Torque": _TORQUE},
    )
    _xlsx(
        folder / "people" / "confidential" / "salary-bands-2026.xlsx",
        "Salary bands 2026",
        "Femke Bogaert",
        datetime(2026, 4, 1),
        {"Bands": _BANDS},
    )
    _xlsx(
        folder / "finance" / "confidential" / "budget-2027.xlsx",
        "Budget 2027",
        "Marc Willems",
        datetime(2026, 11, 6),
        {"Budget": _BUDGET, "Capital": _CAPITAL},
    )


def decks(folder: Path) -> None:
    """Town hall and supplier review."""
    _pptx(
        folder / "company" / "town-hall-2026-10.pptx",
        "Town hall October 2026",
        "Saskia De Wilde",
        datetime(2026, 10, 15),
        _TOWN_HALL,
    )
    _pptx(
        folder / "operations" / "suppliers" / "supplier-review-q3.pptx",
        "Supplier review, third quarter 2026",
        "Joris Maes",
        datetime(2026, 10, 9),
        _SUPPLIER_REVIEW,
    )


_CATALOGUE: list[Row] = [
    ["Code", "Name", "Family", "List price EUR (without VAT)", "Motor Nm", "Battery Wh", "Payload kg"],
    ["HER-S", "Heron Short", "Heron", 3290, 85, 500, 160],
    ["HER-L", "Heron Long", "Heron", 3690, 85, 500, 190],
    ["HER-B", "Heron Belt", "Heron", 3990, 85, 500, 160],
    ["PEL-1", "Pelican One", "Pelican", 5190, 85, 750, 200],
    ["PEL-F", "Pelican Family", "Pelican", 5790, 85, 750, 200],
    ["PEL-C", "Pelican Cargo", "Pelican", 5990, 85, 750, 200],
    ["ALB-200", "Albatross 200", "Albatross", 8900, 85, 1500, 200],
    ["ALB-300", "Albatross 300", "Albatross", 10900, 85, 1500, 300],
    ["WRN-1", "Wren One", "Wren", 690, "", "", 40],
    ["WRN-2", "Wren Two", "Wren", 890, "", "", 60],
]
_PARTS: list[Row] = [
    ["Code", "Name", "List price EUR (without VAT)"],
    ["BAT-500", "Battery pack 500 Wh", 549],
    ["BAT-750", "Battery pack 750 Wh", 749],
    ["CHG-4", "Charger 4 A", 129],
    ["DSP-2", "Display unit 2", 149],
    ["MOT-85", "Mid motor 85 Nm", 899],
    ["BRK-HD", "Hydraulic brake set", 189],
    ["BLT-K", "Belt drive kit", 219],
    ["TYR-20", "Cargo tyre 20 inch", 39],
    ["RNC-F", "Rain cover Family", 159],
]
_TORQUE: list[Row] = [
    ["Bolt", "Model", "Torque Nm", "Thread lock"],
    ["Stem clamp", "all", 6, "no"],
    ["Seat post clamp", "all", 8, "no"],
    ["Motor bracket", "Heron", 22, "blue"],
    ["Motor bracket", "Pelican", 24, "blue"],
    ["Cargo bed", "Pelican", 18, "blue"],
    ["Cargo bed", "Albatross", 25, "red"],
    ["Steering rod", "Pelican", 14, "blue"],
    ["Hitch", "Wren", 12, "no"],
]
_BANDS: list[Row] = [
    ["Band", "Roles", "Minimum EUR a year", "Middle EUR a year", "Maximum EUR a year"],
    ["A", "Assembly, warehouse", 31000, 35500, 40000],
    ["B", "Skilled trades, service", 36000, 41500, 47000],
    ["C", "Planners, buyers, analysts", 44000, 52000, 60000],
    ["D", "Leads, senior engineers", 56000, 66000, 76000],
    ["E", "Department heads", 74000, 88000, 102000],
]
_BUDGET: list[Row] = [
    ["Line", "2026 forecast EUR thousand", "2027 budget EUR thousand"],
    ["Revenue", 39800, 44000],
    ["Material", 21900, 23800],
    ["People", 11600, 12400],
    ["Marketing", 900, 1100],
    ["Other cost", 3100, 3200],
]
_CAPITAL: list[Row] = [
    ["Project", "EUR thousand", "Owner"],
    ["Second battery line in Porto", 1400, "Henrique Matos"],
    ["Paint line burner, new", 650, "Lotte Peeters"],
    ["Loom upgrade", 470, "Tom Akkerman"],
    ["Second source for packs", 180, "Joris Maes"],
    ["Service vans Leeds", 500, "Daniel Hughes"],
]
_TOWN_HALL: list[Slide] = [
    (
        "Where we stand",
        ["Third quarter: order intake 8 % above last year", "Heron is back at plan after the paint line stop"],
    ),
    (
        "What hurts",
        [
            "Late batteries from Nordcell slow the Pelican in Porto",
            "Dockside was down in Leeds on 14 September for over 6 hours",
        ],
    ),
    (
        "What is next",
        [
            "Albatross 300 goes to PostNova: 60 more quads in the first quarter of 2027",
            "The canteen in Porto opens on 1 December",
            "Christmas parties: Ghent 11 December, Porto 12 December, Leeds 18 December",
        ],
    ),
]
_SUPPLIER_REVIEW: list[Slide] = [
    (
        "On time",
        ["Vlaams Aluminium and Quimera: above 95 %", "Nordcell: falls since September, the worst of all nine"],
    ),
    (
        "Quality",
        [
            "Ostrava Forge: two batches of forks sent back for porous welds",
            "Kuroda: no complaint for 18 months",
        ],
    ),
    (
        "Decisions",
        [
            "Nordcell: weekly call, penalty claimed for each late delivery",
            "Vlaams Aluminium: renew the contract that ends on 31 December 2026 (owner: Matteo Ricci)",
            "Penistone Textiles: smaller lots, every two weeks",
        ],
    ),
]
