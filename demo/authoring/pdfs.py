"""The demo's PDF documents."""

from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF

Section = tuple[str, list[str]]
Table = tuple[str, list[list[str]]]


def _pdf(path: Path, title: str, author: str, written: datetime, parts: list[Section | Table]) -> None:
    pdf = FPDF()
    pdf.set_creation_date(written)
    pdf.set_title(title)
    pdf.set_author(author)
    pdf.add_page()
    pdf.set_font("Helvetica", "B", 18)
    pdf.multi_cell(0, 10, title, new_x="LMARGIN", new_y="NEXT")
    for heading, body in parts:
        pdf.set_font("Helvetica", "B", 13)
        pdf.ln(3)
        pdf.multi_cell(0, 8, heading, new_x="LMARGIN", new_y="NEXT")
        pdf.set_font("Helvetica", "", 11)
        if body and isinstance(body[0], list):
            with pdf.table(line_height=6) as table:
                for row in body:
                    cells = table.row()
                    for cell in row:
                        cells.cell(cell)
        else:
            for paragraph in body:
                pdf.multi_cell(0, 6, str(paragraph), new_x="LMARGIN", new_y="NEXT")
                pdf.ln(1)
    pdf.output(str(path))


def travel_and_expenses(folder: Path) -> None:
    """Travel policy with its tables."""
    _pdf(
        folder / "finance" / "travel-and-expenses.pdf",
        "Travel and expenses policy 2026",
        "Clara Whitfield",
        datetime(2026, 1, 15, tzinfo=UTC),
        [
            (
                "1. How we travel",
                [
                    "Take the train when it needs less than 5 hours from door to door; otherwise economy class by air.",
                    "Between Ghent and Leeds the train is the rule, with the Eurostar and one change in London.",
                    "A rental car is for places without a station; a Larkspur bike in a city is always welcome.",
                ],
            ),
            (
                "2. Hotels",
                [
                    "A hotel may cost up to EUR 150 a night including breakfast; in London and Paris up to EUR 190.",
                    "A higher price needs the agreement of the department head before the trip.",
                ],
            ),
            (
                "3. Day allowance",
                [
                    ["Region", "Full day", "Day of departure or return"],
                    ["Benelux", "EUR 58", "EUR 29"],
                    ["Iberia", "EUR 52", "EUR 26"],
                    ["United Kingdom", "GBP 48", "GBP 24"],
                ],
            ),
            (
                "4. Claims",
                [
                    "Hand in a claim within 30 days after the trip, in Gatehouse under Finance, Expenses.",
                    "Receipts are needed above EUR 15. Alcohol is paid only at dinners with guests.",
                    "Claims are checked by Hannah Doyle and paid with the next pay run.",
                ],
            ),
        ],
    )


def code_of_conduct(folder: Path) -> None:
    """Conduct, gifts, reporting."""
    _pdf(
        folder / "people" / "code-of-conduct.pdf",
        "Code of conduct",
        "Greta Lindqvist",
        datetime(2025, 9, 1, tzinfo=UTC),
        [
            (
                "Respect",
                [
                    "We treat each other with respect. Harassment, in words or deeds, ends the contract of whoever does it."
                ],
            ),
            (
                "Gifts and invitations",
                [
                    "Gifts from suppliers or customers may be accepted up to a value of EUR 50 a year and person.",
                    "Invitations to a meal are fine when business is discussed; anything else is declined or reported.",
                    "Buyers accept nothing at all during a tender.",
                ],
            ),
            (
                "Conflicts of interest",
                [
                    "Tell your manager in writing when you, your family or friends have a share in a supplier or customer."
                ],
            ),
            (
                "Speaking up",
                [
                    "Report a concern to your manager, to People, or without a name at speakup.larkspur.example.",
                    "Greta Lindqvist answers within seven days. Nobody may be punished for an honest report.",
                ],
            ),
        ],
    )


def nordcell_contract(folder: Path) -> None:
    """The supply contract whose penalty everybody asks about."""
    _pdf(
        folder / "operations" / "suppliers" / "nordcell-contract.pdf",
        "Supply contract Nordcell AB (extract)",
        "Greta Lindqvist",
        datetime(2025, 1, 10, tzinfo=UTC),
        [
            ("1. Goods", ["Battery packs BAT-500 and BAT-750 according to the specification LK-BAT-07."]),
            (
                "4. Delivery",
                [
                    "4.1 The lead time is 28 days from the order, delivered to Ghent or Porto (DAP).",
                    "4.2 The order of each month may differ from the forecast by at most 20 percent.",
                ],
            ),
            (
                "7. Late delivery",
                [
                    "7.1 For each started week of delay the supplier pays 1.5 percent of the value of the late delivery, "
                    "at most 9 percent.",
                    "7.2 After six weeks of delay Larkspur may cancel the order and buy elsewhere; the supplier bears the "
                    "difference in price up to 15 percent.",
                ],
            ),
            (
                "9. Quality and recall",
                [
                    "9.1 The supplier keeps samples of each batch for five years.",
                    "9.2 In a recall caused by the cells the supplier bears the cost of packs, freight and work.",
                ],
            ),
            ("12. Term", ["The contract ends on 31 December 2027, with six months' notice before."]),
        ],
    )
