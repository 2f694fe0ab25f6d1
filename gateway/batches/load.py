"""How busy this process is with people: their runs and their bare model calls."""

from gateway.turns import Turns


class PeopleLoad:
    """Implements `inference.batch.contracts.Load`."""

    def __init__(self, turns: Turns) -> None:
        self._gates = tuple({turns.admission, turns.calls.admission})  # they may share one

    @property
    def people(self) -> int:
        """What people wait for."""
        return sum(gate.people for gate in self._gates)

    @property
    def draining(self) -> bool:
        """Whether the process is about to end."""
        return any(gate.draining for gate in self._gates)
