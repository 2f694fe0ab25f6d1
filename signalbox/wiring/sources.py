"""Every source of tools that is not started yet, whatever its kind, as the command line reviews and checks them."""

from signalbox.identity import TokenMint
from signalbox.settings import Settings
from signalbox.wiring.servers import added_sources, tool_servers
from toolbus.making import make_source
from toolbus.sources import ToolSource


def agent_sources(settings: Settings) -> list[ToolSource]:
    """The remote agents of `a2a.agents`."""
    if not settings.a2a.agents:
        return []
    from a2a_bridge.source import RemoteAgentSource  # heavy to import, and most installations have no agents

    return [
        RemoteAgentSource(name, remote, settings.toolbus, card_refresh_s=settings.a2a.card_refresh_s)
        for name, remote in settings.a2a.agents.items()
    ]


def reviewed_sources(settings: Settings, mint: TokenMint) -> list[ToolSource]:
    """What an operator added: strangers of `mcp.json`, services of `openapi`, remote agents."""
    added = [make_source(spec, settings.toolbus) for spec in added_sources(settings, mint)]
    return [*added, *agent_sources(settings)]


def all_sources(settings: Settings, mint: TokenMint) -> list[ToolSource]:
    """Those, and the servers of ours."""
    specs = [*tool_servers(settings, mint), *settings.openapi]
    return [*(make_source(spec, settings.toolbus, mint) for spec in specs), *agent_sources(settings)]
