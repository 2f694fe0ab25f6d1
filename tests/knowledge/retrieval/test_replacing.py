"""While a new version is on its way, the old text is live: only whoever may see both versions sees it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from knowledge.service import KnowledgeService
from knowledge.store.access import Groups, may_see
from signalbox.errors import NotFound, ToolFault
from signalbox.identity import Principal
from tests.knowledge.retrieval.helpers import ADA, CLARA, WordEmbedder, make_document

_SECRET = "The chief executive earns 210,000 euros a year."
_KEPT = "Bonuses are paid in March."
_REDACTED = "What the chief executive earns is not public."


class HeldEmbedder(WordEmbedder):
    """Stops at the new text until it is let go; or refuses it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self.refuses = False

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        if any("not public" in text for text in texts):
            self.reached.set()
            await self.go_on.wait()
            if self.refuses:
                raise ToolFault("The key has expired.")
        return await super().embed(texts)


@pytest.fixture
def embedder() -> HeldEmbedder:
    return HeldEmbedder()


def _old(allow: str):
    return make_document("pay.md", [_SECRET, _KEPT], allow=(allow,))


def _new(allow: str):
    return make_document("pay.md", [_REDACTED, _KEPT], allow=(allow,), fingerprint="2")


async def _seen(service: KnowledgeService, who: Principal) -> set[str]:
    """All texts that a search, a listing or a reading gives."""
    seen = {hit.chunk.text for hit in (await service.search(who, ["chief executive earns bonuses"], limit=20)).hits}
    for document in await service.documents(who):
        seen.add((await service.read(who, document.document_id)).text)
    return seen


@asynccontextmanager
async def _on_its_way(service: KnowledgeService, embedder: HeldEmbedder, allow: str) -> AsyncIterator[None]:
    """The record is about to get the new version; its text is not embedded yet."""
    async with asyncio.TaskGroup() as group:
        group.create_task(service.store.put(*_new(allow)))
        await embedder.reached.wait()
        yield
        embedder.go_on.set()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("group:finance", "everyone"),
        ("everyone", "group:finance"),
        ("group:finance", "group:operations"),
        ("everyone", "everyone"),
    ],
)
async def test_old_text_is_shown_only_to_whom_both_versions_are_open(
    service: KnowledgeService, embedder: HeldEmbedder, before: str, after: str
) -> None:
    await service.store.put(*_old(before))
    rules = _old(before)[0].access, _new(after)[0].access
    async with _on_its_way(service, embedder, after):
        for who in (ADA, CLARA):
            may = all(may_see(rule, Groups({}).subjects(who)) for rule in rules)
            assert bool(await _seen(service, who)) == may
    for who in (ADA, CLARA):
        seen = await _seen(service, who)
        may = may_see(rules[1], Groups({}).subjects(who))
        assert seen == ({_REDACTED, _KEPT, f"{_REDACTED}\n\n{_KEPT}"} if may else set())
    assert (await service.check()).green


async def test_after_a_write_that_failed_old_text_stays_closed_and_the_next_write_opens_the_new(
    service: KnowledgeService, embedder: HeldEmbedder
) -> None:
    await service.store.put(*_old("group:finance"))
    embedder.refuses = True
    embedder.go_on.set()
    for _ in range(2):  # a second attempt does not take the narrowed rule for the old one
        with pytest.raises(ToolFault):
            await service.store.put(*_new("everyone"))
        assert await _seen(service, ADA) == set()
        assert _SECRET in await _seen(service, CLARA)
        with pytest.raises(NotFound):
            await service.read(ADA, _old("everyone")[0].document_id)
    embedder.refuses = False
    await service.store.put(*_new("everyone"))
    assert await _seen(service, ADA) == {_REDACTED, _KEPT, f"{_REDACTED}\n\n{_KEPT}"}
    assert (await service.check()).green


async def test_what_is_narrowed_is_closed_at_once_and_never_opened(service: KnowledgeService) -> None:
    finance, everyone = _new("group:finance")[0].access, _new("everyone")[0].access
    await service.store.put(*_old("everyone"))
    await service.store.put(*make_document("hours.md", ["Bonuses are no matter of hours."], allow=("group:finance",)))
    hours = make_document("hours.md", ["x"])[0].document_id
    await service.store.narrow({_old("everyone")[0].document_id: finance, hours: everyone})
    assert await _seen(service, ADA) == set()
    assert {_SECRET, _KEPT, "Bonuses are no matter of hours."} <= await _seen(service, CLARA)
    assert (await service.check()).green
