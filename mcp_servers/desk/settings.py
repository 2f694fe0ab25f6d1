"""What the desk server is told."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr

DESK_GROUP = "desk"


class SmtpSettings(BaseModel):
    """The mail server that messages leave through."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    port: int = 587
    starttls: bool = True
    user: str = ""
    password: SecretStr = SecretStr("")
    timeout_s: float = Field(default=15.0, gt=0, le=120)


class DeskSettings(BaseModel):
    """Where tickets are kept, who works on which, and how messages leave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr = Field(
        description="SQLAlchemy URL of an asynchronous driver, for example sqlite+aiosqlite:///desk.db."
    )
    teams: dict[str, frozenset[str]] = Field(
        default_factory=dict,
        description="Category → groups that work on it, besides the group 'desk', which works on all.",
    )
    people_file: Path | None = Field(
        default=None,
        description="CSV with user, name, email, role, department, site, phone_ext: the directory, read at start.",
    )
    outbox: Path | None = Field(default=None, description="Folder for messages as .eml files, where `smtp` is unset.")
    smtp: SmtpSettings | None = None
    sender: str = Field(
        default="signalbox@localhost", description="The address that messages come from; replies go to the asker."
    )
    external_recipients: bool = Field(
        default=False, description="Whether messages may go to addresses outside the directory."
    )
    undo_within_h: float = Field(default=24.0, gt=0)

    @property
    def sending_s(self) -> float:
        """How long the sending of one message may take; a call that sends one should be given more."""
        return self.smtp.timeout_s * 2 if self.smtp is not None else 10.0
