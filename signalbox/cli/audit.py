"""`signalbox audit`: the chain of tool calls, proven and told."""

import json

from rich.markup import escape

from signalbox.cli.console import err, out
from signalbox.settings import load_settings
from signalbox.wiring.paths import Paths
from toolbus import audit


def verify() -> int:
    """Walk the chain; 1 when it is broken."""
    found = audit.verify(Paths(load_settings().data_dir).audit)
    if found.intact:
        out().print(f"intact: {found.records} records, head {found.head}")
        return 0
    err().print(f"[red]broken[/red] after {found.records} records: {escape(found.fault)}")
    return 1


def show(run_id: str, *, as_json: bool) -> None:
    """The records of one run."""
    records = audit.records_of_run(Paths(load_settings().data_dir).audit, run_id)
    if as_json:
        out().print(json.dumps(records, indent=2, ensure_ascii=False), markup=False)
        return
    if not records:
        err().print(f"No tool was called in {escape(run_id)}.")
    for record in records:
        for name, value in record.items():
            out().print(f"{name:18} {escape(json.dumps(value, ensure_ascii=False))}")
        out().print()
