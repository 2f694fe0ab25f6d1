"""How a release goes from candidate to validated, live and retired: a fold over the log, and nothing else.

candidate ─validated─► validated ─promoted─► live ─(another is promoted, rolled_back)─► retired
    ▲                   │   │                  ▲                                          │  │
    └─────refused───────┘   └─canary─► canary ─┘ (promoted)                 rolled_back ──┘  └─ validated again
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field

from inference.registry.manifest import ReleaseName
from signalbox.errors import Conflict, NotFound

Event = Literal["created", "validated", "refused", "canary", "promoted", "rolled_back"]


class State(StrEnum):
    """Where a release stands."""

    CANDIDATE = "candidate"
    VALIDATED = "validated"
    CANARY = "canary"
    LIVE = "live"
    RETIRED = "retired"


class Entry(BaseModel):
    """One line of the log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: str
    event: Event
    release: ReleaseName
    manifest: str = Field(default="", description="created: sha256 of manifest.yaml.")
    report: str = Field(default="", description="validated, refused: sha256 of report.json.")
    share: Annotated[float, Field(ge=0, le=1)] = Field(default=0, description="canary: its share of conversations.")
    previous: str = Field(default="", description="sha256 of the line before.")


@dataclass(frozen=True)
class Standing:
    """What the log amounts to. `earlier`: releases that were live before, to roll back to, the last one last."""

    states: MappingProxyType[str, State] = field(default_factory=lambda: MappingProxyType({}))
    manifests: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))
    reports: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))
    live: str | None = None
    canary: str | None = None
    share: float = 0.0
    earlier: tuple[str, ...] = ()

    def state(self, release: str) -> State:
        """Raises `NotFound` for a release that was never created."""
        if release not in self.states:
            raise NotFound(f"There is no release {release!r}.", hint="`signalbox release list` shows all.")
        return self.states[release]

    def after(self, entry: Entry) -> "Standing":
        """The standing after one more entry; raises `Conflict` where it may not follow."""
        match entry.event:
            case "created":
                return self._created(entry)
            case "validated" | "refused":
                return self._judged(entry)
            case "canary":
                return self._canaried(entry)
            case "promoted":
                return self._promoted(entry)
            case "rolled_back":
                return self._rolled_back(entry)
            case _ as never:
                assert_never(never)

    def _created(self, entry: Entry) -> "Standing":
        if entry.release in self.states:
            raise Conflict(f"There is a release {entry.release!r} already.", hint="Give it another name.")
        manifests = MappingProxyType({**self.manifests, entry.release: entry.manifest})
        return replace(self._with({entry.release: State.CANDIDATE}), manifests=manifests)

    def _judged(self, entry: Entry) -> "Standing":
        state = self.state(entry.release)
        if state in (State.LIVE, State.CANARY):
            raise Conflict(f"The release {entry.release!r} is {state}: it answers already.")
        judged = State.VALIDATED if entry.event == "validated" else State.CANDIDATE
        reports = MappingProxyType({**self.reports, entry.release: entry.report})
        return replace(self._with({entry.release: judged}), reports=reports)

    def _canaried(self, entry: Entry) -> "Standing":
        self._may_go(entry.release)
        if not 0 < entry.share < 1:
            raise Conflict(f"A canary's share lies between 0 and 1, not at {entry.share:g}.")
        return replace(self._with({entry.release: State.CANARY}), canary=entry.release, share=entry.share)

    def _promoted(self, entry: Entry) -> "Standing":
        self._may_go(entry.release)
        retired = {} if self.live is None else {self.live: State.RETIRED}
        earlier = self.earlier if self.live is None else (*self.earlier, self.live)
        moved = self._with({**retired, entry.release: State.LIVE})
        return replace(moved, live=entry.release, canary=None, share=0.0, earlier=earlier)

    def _rolled_back(self, entry: Entry) -> "Standing":
        if entry.release != (self.canary or self.live):
            raise Conflict(f"{entry.release!r} is neither live nor a canary.")
        if self.canary is not None:
            return replace(self._with({self.canary: State.RETIRED}), canary=None, share=0.0)
        states = {entry.release: State.RETIRED}
        back = self.earlier[-1] if self.earlier else None
        if back is not None:
            states[back] = State.LIVE
        return replace(self._with(states), live=back, earlier=self.earlier[:-1])

    def _may_go(self, release: str) -> None:
        state = self.state(release)
        if state not in (State.VALIDATED, State.CANARY):
            hint = f"`signalbox release validate {release}` decides whether it may." if state is not State.LIVE else ""
            raise Conflict(f"The release {release!r} is {state}, not validated: it cannot be promoted.", hint=hint)
        if self.canary is not None and self.canary != release:
            raise Conflict(
                f"The release {self.canary!r} is a canary now.", hint="Promote it or roll it back before another."
            )

    def _with(self, states: dict[str, State]) -> "Standing":
        return replace(self, states=MappingProxyType({**self.states, **states}))
