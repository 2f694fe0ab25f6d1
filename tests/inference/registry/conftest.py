from collections.abc import Callable
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from agents.settings import AgentsSettings
from inference.registry.registry import Draft, Registry
from policies.engine import ToolPolicy
from policies.switch import PolicySwitch
from signalbox.settings import Settings
from signalbox.wiring.releases import files_in_force

POLICY = b"""rules:
  - {id: knowledge.read, tools: [knowledge__*], effect: permit, reason: Everyone may search the documents.}
"""


@pytest.fixture(autouse=True)
def blocking_calls_are_caught():
    # Not in "inference" as for its other tests: there the command line's half of the registry is called directly.
    with blockbuster_ctx(["signalbox"]) as blockbuster:
        blockbuster.functions["os.stat"].can_block_in("inference/registry/log.py", {"stamp"})  # the one per turn
        yield


def settings_in(folder: Path, **more) -> Settings:
    agents = AgentsSettings(**more.pop("agents", {}))
    return Settings(data_dir=folder / "var", releases={"folder": folder / "releases", **more}, agents=agents)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return Registry(settings.releases.folder)


@pytest.fixture
def make(settings: Settings, registry: Registry) -> Callable[..., str]:
    """A release in the registry; `prompts` replace those in force, `passed` is what the gate is made to say."""

    in_force = files_in_force(settings, POLICY)

    def build(name: str, *, prompts: dict[str, str] | None = None, passed: bool | None = True, policy=POLICY) -> str:
        changed = {f"prompts/{role}.md": text.encode() for role, text in (prompts or {}).items()}
        files = {**in_force, "policy.yaml": policy, **changed}
        registry.create(Draft(name, files, {"knowledge__search": "p1"}, "built-in", "0.1.0"))
        if passed is not None:
            registry.judge(name, b'{"passed": true}', passed=passed)
        return name

    return build


@pytest.fixture
def switch() -> PolicySwitch:
    return PolicySwitch("built-in", ToolPolicy.parse(POLICY, "policy.yaml"))
