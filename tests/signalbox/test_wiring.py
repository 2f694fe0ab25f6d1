"""What the composition root decides: which servers are ours, what they are told, when the demo is loaded."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from mcp_servers.desk.settings import SmtpSettings
from signalbox.cli.client_config import client_config
from signalbox.errors import UserFault
from signalbox.identity import TokenMint
from signalbox.settings import Settings, load_settings
from signalbox.wiring.demo import DemoWorkspace
from signalbox.wiring.secrets import master_secret
from signalbox.wiring.servers import tool_servers

MINT = TokenMint(SecretStr("m" * 64))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIGNALBOX__DATA_DIR", raising=False)
    return load_settings(data_dir=tmp_path / "var")


def servers(settings: Settings, entries: dict[str, object]) -> list[tuple[str, bool, str]]:
    settings.mcp_file.write_text(json.dumps({"mcpServers": entries}))
    return [(spec.name, spec.ours, spec.transport) for spec in tool_servers(settings, MINT)]


def test_without_a_file_the_built_in_servers_run(settings: Settings) -> None:
    assert [spec.name for spec in tool_servers(settings, MINT)] == ["knowledge", "operations", "desk"]


def test_strangers_in_the_file_are_strangers_and_ours_are_ours(settings: Settings) -> None:
    found = servers(
        settings,
        {
            "knowledge": {"command": "signalbox", "args": ["mcp-server", "knowledge"]},
            "desk": {"url": "http://127.0.0.1:8093/mcp"},
            "weather": {"command": "weather-server"},
        },
    )
    assert found == [("knowledge", True, "stdio"), ("desk", True, "http"), ("weather", False, "stdio")]


def test_a_stranger_cannot_take_a_built_in_name(settings: Settings) -> None:
    with pytest.raises(UserFault, match="'knowledge' is a built-in server's"):
        servers(settings, {"knowledge": {"command": "evil"}})


def test_no_operations_server_without_operations_data(settings: Settings) -> None:
    bare = settings.model_copy(update={"demo": settings.demo.model_copy(update={"enabled": False})})
    assert [spec.name for spec in tool_servers(bare, MINT)] == ["knowledge", "desk"]


def test_a_server_is_told_its_own_key_and_no_other(settings: Settings) -> None:
    for spec in tool_servers(settings, MINT):
        told = json.loads(spec.env["SIGNALBOX_SERVER_CONFIG"].get_secret_value())
        assert told["key"] == MINT.key_for(f"mcp:{spec.name}").get_secret_value()
        assert "m" * 64 not in json.dumps(told)


def test_the_bus_waits_longer_for_the_desk_than_the_desk_for_its_mail_server(settings: Settings) -> None:
    def waits(entry: dict[str, object], **smtp: float) -> float | None:
        told = SmtpSettings.model_validate({"host": "mail", **smtp})
        mailing = settings.model_copy(update={"desk": settings.desk.model_copy(update={"smtp": told})})
        settings.mcp_file.write_text(json.dumps({"mcpServers": {"desk": entry}}))
        return tool_servers(mailing, MINT)[0].call_timeout_s

    child: dict[str, object] = {"command": "signalbox", "args": ["mcp-server", "desk"]}
    assert (waits(child), waits({"url": "http://127.0.0.1:8093/mcp"})) == (35, 35)
    assert (waits(child, timeout_s=60), waits(child, timeout_s=5)) == (125, settings.toolbus.call_timeout_s)


def test_a_database_password_reaches_its_server_in_clear(settings: Settings) -> None:
    url = SecretStr("postgresql+psycopg://reader:hunter2@db/erp")
    own = settings.model_copy(update={"operations": settings.operations.model_copy(update={"url": url})})
    spec = next(spec for spec in tool_servers(own, MINT) if spec.name == "operations")
    assert "hunter2" in spec.env["SIGNALBOX_SERVER_CONFIG"].get_secret_value()
    assert "hunter2" not in repr(spec)


def test_the_demo_is_loaded_into_an_empty_folder_only(settings: Settings) -> None:
    demo = DemoWorkspace(settings)
    assert demo.is_missing
    (settings.data_dir / "knowledge").mkdir(parents=True)
    assert not demo.is_missing
    (settings.data_dir / "demo.loading").touch()
    assert demo.is_missing, "an interrupted load is taken up again"


def test_the_master_secret_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "var" / "secret"
    first = master_secret(path)
    assert master_secret(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("short")
    with pytest.raises(UserFault, match="does not hold a secret"):
        master_secret(path)


@pytest.mark.parametrize(
    ("client", "root"), [("vscode", "servers"), ("cursor", "mcpServers"), ("claude", "mcpServers")]
)
def test_clients_get_what_they_understand(client: str, root: str) -> None:
    made = client_config(client, url="http://127.0.0.1:8080/", key="sk-sb-x")  # type: ignore[arg-type]
    entry = made[root]["signalbox"]
    if client == "claude":
        assert entry["args"][-2:] == ["--url", "http://127.0.0.1:8080/"]
        assert entry["env"] == {"SIGNALBOX_KEY": "sk-sb-x"}
    else:
        assert entry["url"] == "http://127.0.0.1:8080/mcp"
        assert entry["headers"] == {"Authorization": "Bearer sk-sb-x"}
