"""Documents through the tool bus: what is not there is told apart from a server that does not answer."""

from pathlib import Path

import pytest

from policies.engine import Effect, Rule
from signalbox.errors import NotFound, SignalboxError, ToolFault, UpstreamDown
from signalbox.identity import Principal
from signalbox.wiring.documents import BusDocuments
from tests.toolbus.servers.spec import PROBE
from tests.toolbus.world import QUICK, World

pytestmark = pytest.mark.timeout(30)  # real processes start, on machines that others use too
ADA = Principal(user="ada", groups=frozenset({"staff"}))
_READ = Rule(id="knowledge.read", tools=("knowledge__*",), effect=Effect.PERMIT, reason="for the tests of documents")
_SERVER = str(PROBE.with_name("documents.py"))


async def _fault(documents: BusDocuments, name: str) -> type[SignalboxError]:
    with pytest.raises(SignalboxError) as caught:
        await documents.open(ADA, name)
    return type(caught.value)


async def test_the_place_is_marked_however_much_stands_around_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.open([world.probe(name="knowledge", args=(_SERVER,), audience="knowledge")], [_READ]) as bus:
        view = await BusDocuments(bus).open(ADA, "leave.md", chunk_id="c20")
    assert view.mark_start is not None
    assert view.mark_end is not None
    place = view.text[view.mark_start - view.start : view.mark_end - view.start]
    assert place == chr(0x430 + 20) * 1_500


async def test_a_server_that_does_not_answer_is_not_a_document_that_is_not_there(tmp_path: Path) -> None:
    world = World(tmp_path)
    spec = world.probe(name="knowledge", args=(_SERVER,), audience="knowledge", call_timeout_s=2)
    async with world.open([spec], [_READ]) as bus:
        documents = BusDocuments(bus)
        assert (await documents.open(ADA, "leave.md")).text == "20 weeks"
        assert await _fault(documents, "unknown.md") is NotFound
        assert await _fault(documents, "broken.md") is ToolFault
        assert await _fault(documents, "silent.md") is UpstreamDown
        assert await _fault(documents, "fatal.md") is UpstreamDown


async def test_a_server_that_does_not_start_is_not_a_document_that_is_not_there(tmp_path: Path) -> None:
    world = World(tmp_path)
    spec = world.probe(name="knowledge", args=("-c", "raise SystemExit(3)"), audience="knowledge")
    settings = QUICK.model_copy(update={"handshake_timeout_s": 5})
    async with world.open([spec], [_READ], settings) as bus:
        assert await _fault(BusDocuments(bus), "leave.md") is UpstreamDown
