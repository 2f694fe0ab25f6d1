"""`signalbox audit`: the chains of tool calls and of retrievals, proven and told."""

import asyncio
import json
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from signalbox.cli.console import err, out
from signalbox.settings import Settings, load_settings
from signalbox.wiring.paths import Paths
from toolbus import audit


def verify() -> int:
    """Walk both chains; 1 when one is broken."""
    settings = load_settings()
    calls = audit.verify(Paths(settings.data_dir).audit)
    whole = _say("tool calls", calls.intact, calls.records, calls.fault or calls.head)
    retrievals = asyncio.run(_verify_retrievals(settings))
    if retrievals is not None:
        whole &= _say("retrievals", retrievals.intact, retrievals.records, retrievals.fault or retrievals.head)
    return 0 if whole else 1


def show(run_id: str, *, as_json: bool) -> None:
    """The records of one run."""
    settings = load_settings()
    records = audit.records_of_run(Paths(settings.data_dir).audit, run_id)
    records += asyncio.run(_retrievals_of(settings, run_id))
    if as_json:
        out().print(json.dumps(records, indent=2, ensure_ascii=False), markup=False)
        return
    if not records:
        err().print(f"No tool was called in {escape(run_id)}.")
    for record in records:
        for name, value in record.items():
            out().print(f"{name:18} {escape(json.dumps(value, ensure_ascii=False))}")
        out().print()


def _say(what: str, intact: bool, records: int, detail: str) -> bool:
    if intact:
        out().print(f"{what}: intact, {records} records, head {detail}")
    else:
        err().print(f"{what}: [red]broken[/red] after {records} records: {escape(detail)}")
    return intact


async def _verify_retrievals(settings: Settings) -> Any:
    from signalbox.wiring.retrievals import open_retrievals

    async with open_retrievals(settings) as retrievals:
        return await retrievals.verify() if retrievals is not None else None


async def _retrievals_of(settings: Settings, run_id: str) -> list[dict[str, Any]]:
    from signalbox.wiring.retrievals import open_retrievals

    async with open_retrievals(settings) as retrievals:
        entries = await retrievals.of_run(run_id) if retrievals is not None else []
    return [{"event": "retrieval", **asdict(entry)} for entry in entries]
