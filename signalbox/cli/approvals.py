"""`signalbox approvals`: what waits for a person, and the decision."""

import json
from typing import Literal

from rich.markup import escape
from rich.table import Table

from signalbox.cli.client import GatewayClient
from signalbox.cli.console import err, out


def show(client: GatewayClient, *, as_json: bool) -> None:
    """List them, latest first."""
    found = client.get("/v1/approvals")["data"]
    if as_json:
        out().print(json.dumps(found, indent=2, ensure_ascii=False), markup=False)
        return
    if not found:
        err().print("Nothing waits for you.")
        return
    table = Table("id", "state", "what", "asked by", box=None)
    for item in found:
        table.add_row(item["id"], item["state"], escape(item["preview"]), item["user"])
    out().print(table)


def decide(client: GatewayClient, approval_id: str, *, decision: Literal["approve", "deny"], reason: str) -> None:
    """Decide once and say what came of it."""
    decided = client.post(f"/v1/approvals/{approval_id}", {"decision": decision, "reason": reason})
    words = decided.get("outcome") or ("Nothing was done." if decision == "deny" else "It was carried out.")
    out().print(f"{decided['state']}: {escape(words)}")
