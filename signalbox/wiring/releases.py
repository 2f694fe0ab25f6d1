"""Releases in the running system: what is in force, loaded from files, switched between turns without a restart."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from agents.assembly import CrewBuilder, effective_prompts
from agents.orchestrator import Crew
from agents.prompting import Prompts
from agents.settings import AgentsSettings
from agents.specialists.roster import load_specialists
from inference.embedded.settings import EmbeddedSettings
from inference.purposes import Purpose
from inference.registry.canary import takes
from inference.registry.log import Stamp
from inference.registry.manifest import PARAMETERS, POLICY, Manifest
from inference.registry.registry import Registry, Release, prompts_of
from inference.registry.states import Standing
from inference.settings import InferenceSettings, ModelSettings, PurposeSettings
from policies.engine import PolicyError, ToolPolicy
from policies.switch import PolicySwitch
from runs.events import BUILT_IN
from signalbox.errors import SignalboxError, UserFault
from signalbox.settings import Settings
from signalbox.wiring.engines import Engines

_log = structlog.get_logger(__name__)
_AGENTS = frozenset(
    {"specialists", "fallback", "planner_timeout_s", "synthesiser_timeout_s", "shared_tools_max", "replans"}
)
_MODEL = frozenset({"served_name", "dialect", "grammar", "parameters", "context_tokens"})


class Parameters(BaseModel):
    """`parameters.yaml`: which model answers what, with which parameters, and how far agents may go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: dict[str, dict[str, Any]] = {}
    purposes: dict[Purpose, PurposeSettings] = {}
    embedded: EmbeddedSettings = EmbeddedSettings()
    agents: dict[str, Any] = {}

    @classmethod
    def of(cls, settings: Settings) -> "Parameters":
        """Those of the settings."""
        inference = settings.inference
        models = {
            name: model.model_dump(mode="json", include=set(_MODEL)) for name, model in inference.all_models().items()
        }
        return cls(
            models=models,
            purposes=inference.purposes,
            embedded=settings.embedded,
            agents=settings.agents.model_dump(mode="json", include=set(_AGENTS)),
        )

    @classmethod
    def from_yaml(cls, data: bytes, release: str) -> "Parameters":
        """Read a release's; raises `UserFault`."""
        try:
            return cls.model_validate(yaml.safe_load(data))
        except (yaml.YAMLError, ValidationError) as error:
            raise UserFault(f"{PARAMETERS} of the release {release!r} cannot be used: {error}.") from error

    def to_yaml(self) -> bytes:
        """As a release keeps it."""
        data = self.model_dump(mode="json")
        return yaml.safe_dump(data, sort_keys=True, allow_unicode=True, width=120).encode()

    def models_of(self, installed: InferenceSettings) -> dict[str, ModelSettings]:
        """The models with the release's parameters; raises `UserFault` where an installed one is another model."""
        known, result = installed.all_models(), {}
        for name, wanted in self.models.items():
            if name not in known:
                raise UserFault(f"This installation does not run the model {name!r}.", hint="Add it to [inference].")
            model = ModelSettings.model_validate({**known[name].model_dump(), **wanted})
            if model.model_copy(update={"parameters": known[name].parameters}) != known[name]:
                raise UserFault(
                    f"The model {name!r} of this installation is not the one that the release was made with.",
                    hint="Correct [inference.models], or make and validate a new release.",
                )
            result[name] = model
        return result

    def agents_of(self, installed: AgentsSettings) -> AgentsSettings:
        """The agents' settings with those of the release."""
        return AgentsSettings.model_validate({**installed.model_dump(), **self.agents})


class Releases:
    """`agents.crews.Crews` by the registry. Looks at the log before every turn: one `stat`."""

    def __init__(self, settings: Settings, crews: CrewBuilder, engines: Engines, policy: PolicySwitch) -> None:
        self.registry = Registry(settings.releases.folder)
        self._settings = settings
        self._builder = crews
        self._engines = engines
        self._policy = policy
        self._crews = {BUILT_IN: crews.build(settings.agents, engines.models)}
        self._manifests: dict[str, str] = {BUILT_IN: ""}
        self._standing = Standing()
        self._live = BUILT_IN
        self._stamp: Stamp | None = None
        self._looking = asyncio.Lock()

    @property
    def current(self) -> Crew:
        """The crew of the live release."""
        return self._crews[self._live]

    async def open(self) -> None:
        """Load what is live; raises `SignalboxError` when it cannot be used: nothing unvalidated answers instead."""
        self._stamp = self.registry.stamp()
        if self._stamp is not None:
            await self._take(await asyncio.to_thread(self.registry.standing))

    async def choose(self, conversation_id: str) -> Crew:
        """The crew of this conversation's release."""
        if self.registry.stamp() != self._stamp:
            await self._look()
        canary = self._standing.canary
        if canary is not None and takes(canary, conversation_id, self._standing.share):
            return self._crews[canary]
        return self.current

    async def crew(self, name: str) -> Crew:
        """The crew of any release, live or not; raises `SignalboxError` when it cannot be used."""
        if name == BUILT_IN:
            return self._crews[BUILT_IN]
        standing = await asyncio.to_thread(self.registry.standing)
        await self._load(name, standing)
        return self._crews[name]

    async def _look(self) -> None:
        async with self._looking:
            stamp = self.registry.stamp()
            if stamp == self._stamp:
                return
            try:
                await self._take(await asyncio.to_thread(self.registry.standing))
            except SignalboxError as error:
                _log.error("release.not_taken", still=self._live, error=str(error))
            self._stamp = stamp

    async def _take(self, standing: Standing) -> None:
        live = standing.live or BUILT_IN
        for name in filter(None, (standing.live, standing.canary)):
            await self._load(name, standing)
        if (live, standing.canary) != (self._live, self._standing.canary):
            _log.warning("release.in_force", live=live, canary=standing.canary, share=standing.share)
        self._policy.go_live(live)
        self._live, self._standing = live, standing

    async def _load(self, name: str, standing: Standing) -> None:
        standing.state(name)
        if self._manifests.get(name) == standing.manifests[name]:
            return
        release = await asyncio.to_thread(self.registry.read, name, standing)
        checked_files(self._settings, name, release.files)
        policy = _policy_of(name, release.files)
        self._crews[name] = self._build(release)
        self._policy.install(name, policy)
        self._manifests[name] = standing.manifests[name]

    def _build(self, release: Release) -> Crew:
        parameters = Parameters.from_yaml(release.files[PARAMETERS], release.name)
        models = self._engines.vary(
            parameters.models_of(self._settings.inference), parameters.purposes, parameters.embedded
        )
        agents = parameters.agents_of(self._settings.agents)
        return self._builder.build(agents, models, prompts=release.prompts, release=release.name)


def files_in_force(settings: Settings, policy: bytes) -> dict[str, bytes]:
    """The files of a release that changes nothing about a system without releases."""
    prompts = {f"prompts/{name}.md": f"{text}\n".encode() for name, text in effective_prompts(settings.agents).items()}
    return {PARAMETERS: Parameters.of(settings).to_yaml(), POLICY: policy, **prompts}


def tool_faults(manifest: Manifest, pins: dict[str, str]) -> list[str]:
    """How the admitted tools differ from those of a release, in words."""
    missing = [f"{name} is missing" for name in sorted(manifest.tools.keys() - pins.keys())]
    added = [f"{name} is new" for name in sorted(pins.keys() - manifest.tools.keys())]
    changed = [f"{name} has changed" for name, pin in sorted(manifest.tools.items()) if pins.get(name, pin) != pin]
    return missing + added + changed


def checked_files(settings: Settings, name: str, files: Mapping[str, bytes]) -> None:
    """Raise `UserFault` where a release of these files could not be loaded here."""
    _policy_of(name, files)
    parameters = Parameters.from_yaml(files[PARAMETERS], name)
    parameters.models_of(settings.inference)
    agents = parameters.agents_of(settings.agents)
    prompts = prompts_of(files)
    Prompts(canary="x" * 16, texts=prompts)
    own = {specialist.name for specialist in load_specialists(agents)}
    if missing := sorted(own - prompts.keys()):
        raise UserFault(f"The release {name!r} lacks prompts of specialists: {', '.join(missing)}.")


def _policy_of(name: str, files: Mapping[str, bytes]) -> ToolPolicy:
    try:
        return ToolPolicy.parse(files[POLICY], f"{name}/{POLICY}")
    except PolicyError as error:
        raise UserFault(f"{error}.") from error
