"""Every setting of a deployment, read once: `signalbox.toml`, then the environment (`SIGNALBOX__GATEWAY__PORT`)."""

import os
from datetime import date
from pathlib import Path
from typing import Any, Literal

from a2a_bridge.settings import A2ASettings
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from agents.settings import AgentsSettings
from gateway.settings import GatewaySettings
from inference.batch.settings import BatchSettings
from inference.embedded.settings import EmbeddedSettings
from inference.registry.settings import ReleaseSettings
from inference.settings import InferenceSettings
from knowledge.settings import KnowledgeSettings
from mcp_servers.desk.settings import SmtpSettings
from runs.settings import RunsSettings
from signalbox.errors import UserFault
from toolbus.settings import OpenApiSpec, ToolBusSettings

CONFIG_FILE = "signalbox.toml"
CONFIG_FILE_ENV = "SIGNALBOX_CONFIG"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DemoSettings(_Section):
    """The demo workspace; it is loaded only into an empty data folder."""

    enabled: bool = True
    today: date = Field(default=date(2026, 11, 20), description="What the demo takes for today; its data ends there.")


class OperationsSection(_Section):
    """The organisation's operational database; without `url`, the demo's."""

    url: SecretStr | None = None
    catalogue: Path | None = Field(default=None, description="YAML of tables and metrics that may be asked for.")


class DeskSection(_Section):
    """The desk's own database and the way of its messages."""

    url: SecretStr | None = Field(default=None, description="Database URL; empty: SQLite in the data folder.")
    teams: dict[str, frozenset[str]] = Field(
        default_factory=dict, description="Ticket category → groups that work on it."
    )
    people_file: Path | None = Field(default=None, description="CSV of the directory; empty: the demo's people.")
    smtp: SmtpSettings | None = Field(default=None, description="Without it, messages go to a file outbox.")
    sender: str = "signalbox@localhost"
    external_recipients: bool = Field(
        default=False, description="Let messages leave for addresses outside the directory."
    )


class LogSection(_Section):
    """What is logged on standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    format: Literal["console", "json"] = "console"


class Settings(BaseSettings):
    """All settings; `signalbox config show` prints them, secrets masked."""

    model_config = SettingsConfigDict(
        env_prefix="SIGNALBOX__", env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )

    data_dir: Path = Field(default=Path("var"), description="Everything that Signalbox keeps.")
    database_url: SecretStr | None = Field(default=None, description="Empty: SQLite in the data folder.")
    mcp_file: Path = Field(default=Path("mcp.json"), description="Tool servers; without the file, the built-in ones.")
    policy_file: Path | None = Field(default=None, description="Rules for tools; empty: those of Signalbox.")
    openapi: tuple[OpenApiSpec, ...] = Field(default=(), description="HTTP services whose listed operations are tools.")
    demo: DemoSettings = DemoSettings()
    log: LogSection = LogSection()
    gateway: GatewaySettings = GatewaySettings()
    agents: AgentsSettings = AgentsSettings()
    toolbus: ToolBusSettings = ToolBusSettings()
    runs: RunsSettings = RunsSettings()
    inference: InferenceSettings = InferenceSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    batch: BatchSettings = BatchSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    operations: OperationsSection = OperationsSection()
    desk: DeskSection = DeskSection()
    a2a: A2ASettings = A2ASettings()
    releases: ReleaseSettings = ReleaseSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the file."""
        file = TomlConfigSettingsSource(settings_cls, Path(os.environ.get(CONFIG_FILE_ENV, CONFIG_FILE)))
        return init_settings, env_settings, file

    @property
    def base_url(self) -> str:
        """Where this gateway is reached from this machine."""
        host = "127.0.0.1" if self.gateway.host in ("0.0.0.0", "::") else self.gateway.host  # noqa: S104 # compared, not bound
        return f"http://{host}:{self.gateway.port}"


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; raises `UserFault` that names every wrong one."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}" for problem in error.errors()
        )
        hint = f"Correct {CONFIG_FILE} or the SIGNALBOX__… variables; `signalbox config show` lists all."
        raise UserFault(f"The settings are wrong: {lines}.", hint=hint) from error
    except ValueError as error:  # a TOML file that is no TOML
        raise UserFault(f"{CONFIG_FILE} cannot be read: {error}.") from error
