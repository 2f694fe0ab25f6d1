"""Settings: a file, then the environment; what is wrong is named."""

from pathlib import Path

import pytest

from signalbox.errors import UserFault
from signalbox.settings import load_settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("SIGNALBOX__DATA_DIR", "SIGNALBOX__GATEWAY__PORT", "SIGNALBOX_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_without_anything_the_defaults_serve_one_machine() -> None:
    settings = load_settings()
    assert settings.base_url == "http://127.0.0.1:8080"
    assert settings.data_dir == Path("var")
    assert settings.inference.all_backends() == ()


def test_the_environment_beats_the_file(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "signalbox.toml").write_text('data_dir = "kept"\n[gateway]\nport = 9001\n')
    monkeypatch.setenv("SIGNALBOX__GATEWAY__PORT", "9002")
    settings = load_settings()
    assert (settings.data_dir, settings.gateway.port) == (Path("kept"), 9002)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[gateway]\nprot = 1\n", "gateway.prot"),
        ("[gateway]\nport = 'many'\n", "gateway.port"),
        ("colour = 'red'\n", "colour"),
        ("[gateway\n", "signalbox.toml cannot be read"),
        ("[inference]\nbase_url = 'localhost:8000'\n", "inference.base_url"),
    ],
)
def test_a_wrong_setting_is_named(elsewhere: Path, text: str, named: str) -> None:
    (elsewhere / "signalbox.toml").write_text(text)
    with pytest.raises(UserFault) as fault:
        load_settings()
    assert named in str(fault.value)


def test_secrets_are_masked_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALBOX__OPERATIONS__URL", "postgresql+psycopg://reader:hunter2@db/erp")
    settings = load_settings()
    assert "hunter2" not in repr(settings) + settings.model_dump_json()
