from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from prometheus_client import CollectorRegistry

from inference.contracts import CallScope, UsageMeter
from inference.router import RoutedModels
from inference.settings import InferenceSettings
from tests.inference.peer import Peer

MakeModels = Callable[..., RoutedModels]


@pytest.fixture(autouse=True)
def blocking_calls_are_caught():
    with blockbuster_ctx(["inference", "signalbox"]):
        yield


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer() as server:
        yield server


@pytest.fixture
async def second_peer() -> AsyncIterator[Peer]:
    async with Peer() as server:
        yield server


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def no_embedded(_scope: CallScope) -> Any:
    raise AssertionError("The embedded engine was not expected here.")


@pytest.fixture
async def make_models(registry: CollectorRegistry) -> AsyncIterator[MakeModels]:
    """Builds `RoutedModels` from settings; everything is closed afterwards."""
    made: list[RoutedModels] = []

    def make(*, embedded: Any = no_embedded, **settings: Any) -> RoutedModels:
        models = RoutedModels(InferenceSettings.model_validate(settings), embedded=embedded, registry=registry)
        made.append(models)
        return models

    yield make
    for models in made:
        await models.close()


def scope_for(conversation: str = "conv_1", *, tenant: str = "acme", priority: int = 0) -> CallScope:
    return CallScope(tenant, conversation, "run_1", UsageMeter(), priority)


@pytest.fixture
def scope() -> CallScope:
    return scope_for()
