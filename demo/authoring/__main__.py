"""`python -m demo.authoring` writes the demo's PDF and Office files anew."""

from pathlib import Path

from demo.authoring import office, pdfs

folder = Path(__file__).parent.parent / "documents"
pdfs.travel_and_expenses(folder)
pdfs.code_of_conduct(folder)
pdfs.nordcell_contract(folder)
office.onboarding(folder)
office.paint_line_restart(folder)
office.recall_letter(folder)
office.workbooks(folder)
office.decks(folder)
