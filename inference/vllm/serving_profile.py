"""Profiles: vLLM's own `--config` files with reasons in them, and an environment file beside each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from signalbox.errors import NotFound, UserFault

_FOLDER = Path(__file__).parent / "profiles"


@dataclass(frozen=True)
class Profile:
    """One way to run vLLM; `environment` comes on top of the process's own."""

    name: str
    config: Path
    environment: dict[str, str]

    def options(self) -> dict[str, Any]:
        """vLLM's options as the file has them; raises `UserFault` for a file that is not a mapping."""
        try:
            options = yaml.safe_load(self.config.read_text())
        except yaml.YAMLError as error:
            raise UserFault(f"The profile {str(self.config)!r} is not valid YAML: {error}.") from error
        if not isinstance(options, dict):
            raise UserFault(f"The profile {str(self.config)!r} has no options.")
        return options

    @property
    def speaks_tls(self) -> bool:
        """Whether the server will want TLS."""
        return "ssl-certfile" in self.options()


def list_profiles() -> list[str]:
    """Names of the profiles that come with Signalbox."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def find_profile(name: str) -> Profile:
    """A profile by name, or by the path of a YAML file of your own; raises `NotFound`."""
    config = Path(name) if name.endswith((".yaml", ".yml")) else _FOLDER / f"{name}.yaml"
    if not config.is_file():
        raise NotFound(
            f"There is no vLLM profile {name!r}.", hint=f"Known: {', '.join(list_profiles())}; or give a file."
        )
    return Profile(name=config.stem, config=config, environment=_read_environment(config.with_suffix(".env")))


def _read_environment(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    pairs: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals:
            raise UserFault(f"{path.name}, line {number}: {text!r} is not NAME=value.")
        pairs[name.strip()] = value.strip()
    return pairs
