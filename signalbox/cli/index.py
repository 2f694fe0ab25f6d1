"""`signalbox index`: in this process, or through the running gateway, which then holds the index."""

import asyncio
import json
from typing import Any

from rich.markup import escape

from signalbox.cli.client import GatewayClient, is_running, read_key
from signalbox.cli.console import err, out
from signalbox.errors import UpstreamDown
from signalbox.settings import Settings, load_settings
from signalbox.telemetry import configure_logging
from signalbox.wiring.maintaining import IndexAction, maintain_index
from signalbox.wiring.paths import Paths


def maintain(action: IndexAction, *, as_json: bool) -> None:
    """Do it and print what was done."""
    settings = load_settings()
    configure_logging(settings.log.level, settings.log.format)
    if is_running(settings.base_url):
        done = _through_gateway(settings, action)
    else:
        err().print("[dim]Nothing is running; the index is opened here.[/dim]")
        done = asyncio.run(maintain_index(settings, action)).model_dump(mode="json")
    if as_json:
        out().print(json.dumps(done, indent=2, ensure_ascii=False), markup=False)
        return
    out().print(escape(done["summary"]))


def _through_gateway(settings: Settings, action: IndexAction) -> dict[str, Any]:
    _, key = read_key(Paths(settings.data_dir).operator_key, None)
    with GatewayClient(settings.base_url, key) as client:
        for line in client.lines("/v1/documents/index", {"action": action}):
            if line.get("done"):
                return line["summary"]
    raise UpstreamDown("The gateway stopped answering.", hint="What was begun goes on with the next call.")
