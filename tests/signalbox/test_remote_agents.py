"""Remote agents are reviewed on the command line, and found on the bus as tools and by the planner as specialists."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from a2a_bridge.settings import A2ASettings, RemoteAgent
from typer.testing import CliRunner

from signalbox.cli.app import app
from signalbox.errors import UserFault
from signalbox.settings import Settings
from signalbox.wiring.health import SystemHealth
from signalbox.wiring.remotes import connect_agents, remote_specialists
from tests.a2a_bridge.other_agent import other_agent
from tests.toolbus.world import World
from toolbus.catalogue import Catalogue

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def agent_url() -> Iterator[str]:
    """An agent in a thread of its own: the command line has a loop of its own."""
    up, down, found = Event(), Event(), []

    async def serve() -> None:
        async with other_agent() as (url, _):
            found.append(url)
            up.set()
            await asyncio.to_thread(down.wait)

    thread = Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert up.wait(20)
    yield found[0]
    down.set()
    thread.join(20)


def run(*words: str) -> Any:
    result = CliRunner().invoke(app, ["tools", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_an_agent_is_reviewed_checked_approved_and_withdrawn_like_any_tool(
    agent_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {}}))
    (tmp_path / "signalbox.toml").write_text(f'[a2a.agents.partner]\nurl = "{agent_url}"\n')
    monkeypatch.chdir(tmp_path)
    (item,) = json.loads(run("review", "--json"))
    assert (item["name"], item["state"], item["read_only"]) == ("partner__ask", "new", False)
    assert item["description"] == "Carrier desk: Answers for the carrier.\n- Track: Finds parcels."
    assert "can be admitted" in run("check", "partner")
    assert "approved partner__ask" in run("approve", "partner__ask")
    assert json.loads(run("review", "--json"))[0]["state"] == "approved"
    run("revoke", "partner__ask")
    assert json.loads(run("review", "--json"))[0]["state"] == "new"


async def test_an_approved_agent_is_a_specialist_by_its_card_and_one_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with other_agent() as (url, _), world.open([], ()) as bus:
        agents = {"partner": RemoteAgent(url=url), "gone": RemoteAgent(url="http://127.0.0.1:1")}
        settings = Settings(a2a=A2ASettings(agents=agents), data_dir=tmp_path)
        partner, gone = remote_specialists(settings, world.catalogue)
        await connect_agents(settings, bus)
        assert "not offered now" in partner.description
        world.catalogue.approve(["partner__ask"])
        bus.refresh()
        assert partner.description.startswith("Carrier desk")
        assert partner.examples == ("Where is parcel 1?",)
        assert "not offered now" in gone.description
        health = await SystemHealth(bus, NoModels(), settings, world.audit, world.catalogue).check()  # type: ignore[arg-type]
    assert health["tools:partner"] == {"state": "up", "needed": "no"}
    assert "does not show its card" in health["tools:gone"]["state"]
    assert health["tools:gone"]["needed"] == "no"


class NoModels:
    async def health(self) -> dict[str, str]:
        return {}


def test_an_agent_cannot_take_the_name_of_a_specialist(tmp_path: Path) -> None:
    settings = Settings(a2a=A2ASettings(agents={"data": RemoteAgent(url="http://x")}), data_dir=tmp_path)
    with pytest.raises(UserFault, match="are called 'data'"):
        remote_specialists(settings, Catalogue(tmp_path / "tools.lock.json"))
