"""CSV and its kin: one table, each row read as facts."""

import csv
import io

from knowledge.parse.draft import Draft, ParseFault, looks_like_header, table_as_facts
from knowledge.parse.plain import decode

_DELIMITERS = ",;\t|"
_SAMPLE = 64_000


def parse(data: bytes, name: str) -> Draft:
    """The rows of the file; lines before the table (a title, a note) stay prose."""
    text = decode(data)
    csv.field_size_limit(10_000_000)
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=_delimiter(text, name), strict=False))
    except csv.Error as error:
        raise ParseFault(f"It is not a readable table: {error}.") from error
    draft = Draft("text/csv")
    width = max((len(row) for row in rows), default=0)
    start = 0
    while start < len(rows) and width > 1 and sum(bool(cell.strip()) for cell in rows[start]) < 2:
        draft.add("prose", " ".join(rows[start]))
        start += 1
    table = rows[start:]
    if len(table) > 1 and looks_like_header(table[0], table[1:]):
        table[0] = [name.replace("_", " ") for name in table[0]]
    draft.add("table", table_as_facts(table))
    return draft


def _delimiter(text: str, name: str) -> str:
    """The one that cuts the first lines into the most columns, equally many on most of them."""
    if name.lower().endswith(".tsv"):
        return "\t"
    lines = [line for line in text[:_SAMPLE].splitlines() if line.strip()][:50]
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        counts = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        if not counts:
            continue
        usual = max(set(counts), key=counts.count)
        score = (usual - 1) * counts.count(usual) / len(counts)
        if score > best_score:
            best, best_score = delimiter, score
    return best
