"""What `/readyz` and `signalbox doctor` say about each dependency: its state, and the fix where it is not up."""

from gateway.health import NOT_NEEDED
from inference.contracts import Models
from signalbox.settings import Settings
from toolbus.audit import AuditLog
from toolbus.catalogue import Catalogue
from toolbus.contracts import ToolBus

_UP = "up"


class SystemHealth:
    """Asks the audit log, the tools' catalogue, the tool servers and the model servers how they are."""

    def __init__(self, bus: ToolBus, models: Models, settings: Settings, audit: AuditLog, catalogue: Catalogue) -> None:
        self._bus = bus
        self._catalogue = catalogue
        self._audit = audit
        self._models = models
        self._settings = settings

    async def check(self) -> dict[str, dict[str, str]]:
        """Per dependency: `state`, and `fix` unless it is up."""
        found = {
            "audit": _entry(self._audit.status(), "Make room on its disk; it is tried again by itself."),
            # What was approved last goes on counting.
            "catalogue": _entry(self._catalogue.status(), "Mend the file; it is read again by itself.") | NOT_NEEDED,
        }
        for name, state in (await self._bus.health()).items():
            if name in self._settings.a2a.agents:
                # Another organisation's trouble is not ours: this gateway goes on taking calls.
                found[f"tools:{name}"] = _entry(state, "It is looked for by itself. Check a2a.agents.") | NOT_NEEDED
            else:
                found[f"tools:{name}"] = _entry(
                    state, "See the log; the server is restarted by itself. Check mcp.json."
                )
        for name, state in (await self._models.health()).items():
            found[f"model:{name}"] = _entry(state, "Start the model server, or correct inference.base_url.")
        return found


def _entry(state: str, fix: str) -> dict[str, str]:
    return {"state": state} if state == _UP else {"state": state, "fix": fix}
