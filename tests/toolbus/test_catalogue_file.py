"""The catalogue's file while others write it: what the command line decides counts, whatever stood in its way."""

import os
from pathlib import Path

import pytest

from tests.toolbus.hanging import HangingServer
from tests.toolbus.world import QUICK, READ_ALL, World
from toolbus.catalogue import Catalogue
from toolbus.sources import DeclaredTool

ADD = DeclaredTool(
    name="add",
    description="",
    input_schema={"type": "object"},
    output_schema=None,
    read_only=False,
    destructive=True,
    idempotent=False,
)


async def test_a_revocation_is_noticed_after_the_file_could_not_be_read_for_a_while(world: World) -> None:
    settings = QUICK.model_copy(update={"catalogue_poll_s": 0.02})
    rules = [READ_ALL.model_copy(update={"tools": ("probe__add",)})]
    aside = world.folder / "aside"
    async with HangingServer() as server, world.open([server.spec], rules, settings) as bus:
        chain = world.context().chain
        assert [tool.name for tool in await bus.tools(chain)] == ["probe__add"]
        world.lock_path.rename(aside)
        world.lock_path.mkdir()  # not readable, for root neither
        await world.until(lambda: world.catalogue.status() != "up")
        assert world.catalogue.status() == (
            "The tool catalogue 'tools.lock.json' cannot be read (Is a directory). "
            "Give it back to the account that Signalbox runs under."
        )
        assert [tool.name for tool in await bus.tools(chain)] == ["probe__add"]
        world.lock_path.rmdir()
        aside.rename(world.lock_path)
        Catalogue(world.lock_path).revoke(["probe__add"])
        await world.until(lambda: world.catalogue.pins() == {})
        assert (await bus.tools(chain), world.catalogue.status()) == ([], "up")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_approves_still_belongs_to_the_account_that_signalbox_runs_under(tmp_path: Path) -> None:
    os.chown(tmp_path, 4711, 4712)
    path = tmp_path / "tools.lock.json"
    for mode in (0o600, 0o640):  # made, then replaced
        catalogue = Catalogue(path)
        catalogue.declare("probe", [ADD])
        catalogue.approve(["probe__add"])
        assert (path.stat().st_uid, path.stat().st_gid, path.stat().st_mode & 0o777) == (4711, 4712, mode)
        assert path.with_suffix(".mutex").stat().st_uid == 4711
        path.chmod(0o640)
