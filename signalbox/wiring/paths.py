"""Where everything of an installation lies in its data folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """Paths under one data folder."""

    data_dir: Path

    @property
    def database(self) -> Path:
        """Keys, conversations, runs, approvals, A2A tasks."""
        return self.data_dir / "signalbox.db"

    @property
    def secret(self) -> Path:
        """The master secret of tool tokens."""
        return self.data_dir / "secret"

    @property
    def keys(self) -> Path:
        """The demo users' API keys."""
        return self.data_dir / "keys.json"

    @property
    def operator_key(self) -> Path:
        """The operator's API key, for the command line."""
        return self.data_dir / "operator.json"

    @property
    def audit(self) -> Path:
        """The audit log of tool calls."""
        return self.data_dir / "audit" / "tools.jsonl"

    @property
    def tools_lock(self) -> Path:
        """Which tools are admitted."""
        return self.data_dir / "tools.lock.json"

    @property
    def operations(self) -> Path:
        """The demo's operations database."""
        return self.data_dir / "operations.db"

    @property
    def desk(self) -> Path:
        """The desk's database."""
        return self.data_dir / "desk.db"

    @property
    def outbox(self) -> Path:
        """Messages of the desk, where no SMTP server is set."""
        return self.data_dir / "outbox"
