"""Which of the admitted tools a principal and a step get to see."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from policies.engine import Effect, Policy, ToolRequest
from signalbox.identity import Chain
from toolbus.catalogue import Catalogue
from toolbus.contracts import ToolSpec

_REMEMBERED = 512


class Offer:
    """The admitted tools, narrowed by policy and by the servers that are up; answers are remembered per chain."""

    def __init__(self, policy: Policy, catalogue: Catalogue, is_up: Callable[[str], bool]) -> None:
        self._policy = policy
        self._catalogue = catalogue
        self._is_up = is_up
        self._tools: dict[str, ToolSpec] = {}
        self._remembered: OrderedDict[tuple[str, Chain], dict[str, ToolSpec]] = OrderedDict()

    def install(self, tools: dict[str, ToolSpec]) -> None:
        """These are the admitted tools from now on."""
        self._tools = tools
        self._remembered.clear()

    def find(self, name: str) -> ToolSpec | None:
        """An admitted tool, whoever asks."""
        return self._tools.get(name)

    def of(self, chain: Chain, patterns: Sequence[str] = ("*",)) -> list[ToolSpec]:
        """What this chain may call among `patterns`, on servers that are up."""
        allowed = self._allowed(chain).values()
        return [tool for tool in allowed if matches(tool.name, patterns) and self._is_up(tool.server)]

    def one(self, chain: Chain, name: str, patterns: Sequence[str] = ("*",)) -> ToolSpec | None:
        """The tool of that name, where `of` would show it."""
        tool = self._allowed(chain).get(name)
        return tool if tool is not None and matches(name, patterns) and self._is_up(tool.server) else None

    def refused(self, chain: Chain, name: str, patterns: Sequence[str] = ("*",)) -> ToolSpec | None:
        """The admitted tool of that name, where it is the policy alone that keeps it from this chain."""
        if name in self._allowed(chain) or not matches(name, patterns):
            return None
        return self._tools.get(name)

    def _allowed(self, chain: Chain) -> dict[str, ToolSpec]:
        key = (self._policy.version, chain)
        known = self._remembered.get(key)
        if known is not None:
            self._remembered.move_to_end(key)
            return known
        allowed = {name: tool for name, tool in self._tools.items() if self._may(chain, tool)}
        self._remembered[key] = allowed
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return allowed

    def _may(self, chain: Chain, tool: ToolSpec) -> bool:
        return self._policy.decide(request_for(chain, tool, self._catalogue)).effect is not Effect.FORBID


def request_for(chain: Chain, tool: ToolSpec, catalogue: Catalogue) -> ToolRequest:
    """The facts about a tool and whoever asks for it, as the policy wants them."""
    person = chain.principal
    return ToolRequest(
        tool=tool.name,
        read_only=tool.read_only,
        user=person.user,
        tenant=person.tenant,
        groups=person.groups,
        scopes=person.scopes,
        agents=chain.actors,
        reviewed=catalogue.reviewed(tool.name),
        release=chain.release,
    )


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of `server__tool`, `server__*` or `*` names this tool."""
    named = (name, f"{name.partition('__')[0]}__*", "*")
    return any(pattern in named for pattern in patterns)
