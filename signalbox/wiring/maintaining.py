"""Looking after the index in this process, while no server holds it."""

from typing import Literal

from knowledge.service import KnowledgeService
from mcp_servers.knowledge.models import Health, ServingIndex, health_of, serving_of
from signalbox.settings import Settings

IndexAction = Literal["check", "rebuild", "roll_back"]


async def maintain_index(settings: Settings, action: IndexAction) -> Health | ServingIndex:
    """Compare and mend, build anew, or return to the index before; `UserFault` when another process has it."""
    service = await KnowledgeService.open(settings.knowledge.retrieval, settings.data_dir)
    try:
        match action:
            case "check":
                return health_of(await service.check())
            case "rebuild":
                return serving_of(await service.rebuild())
            case "roll_back":
                return serving_of(await service.roll_back())
    finally:
        await service.close()
