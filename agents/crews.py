"""Which crew takes a turn: the only one, or the one of the release that the conversation is on."""

from typing import Protocol

from agents.orchestrator import Crew


class Crews(Protocol):
    """Chooses once for each turn; a turn that runs stays with its crew."""

    @property
    def current(self) -> Crew:
        """The crew of the release that is live, as last looked at."""
        ...

    async def choose(self, conversation_id: str) -> Crew:
        """The crew for a turn of this conversation. Never raises: when in doubt, the one that works now."""
        ...


class OneCrew:
    """The same crew for every turn."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    @property
    def current(self) -> Crew:
        """The crew."""
        return self._crew

    async def choose(self, conversation_id: str) -> Crew:
        """The crew, whichever conversation it is."""
        del conversation_id
        return self._crew
