"""Validates a release in a system of its own: the demo in a temporary folder, or a data folder that is not in use."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agents.contracts import TurnRequest, TurnRunner
from agents.crews import OneCrew
from agents.orchestrator import Crew
from agents.turns import Turns
from inference.registry.gate.cases import GateCase, load_cases
from inference.registry.gate.report import GateReport
from inference.registry.gate.run import Ask, Candidate, Gate, OnProgress, refused
from inference.registry.manifest import Manifest
from inference.registry.registry import Registry
from runs.events import RunFailed, RunFinished, RunResult
from runs.ids import new_run_id
from signalbox.errors import SignalboxError, UpstreamDown, UserFault
from signalbox.identity import Principal
from signalbox.settings import Settings
from signalbox.wiring.demo import DemoWorkspace
from signalbox.wiring.paths import Paths
from signalbox.wiring.people import DEMO_USERS
from signalbox.wiring.releases import tool_faults
from signalbox.wiring.surface import System, clock_of
from signalbox.wiring.system import open_system


async def validate(
    settings: Settings, name: str, on_progress: OnProgress, *, data_dir: Path | None = None
) -> GateReport:
    """Run the gate on a release and keep its report; the release is validated from now on, or not."""
    registry = Registry(settings.releases.folder)
    manifest = registry.read(name).manifest
    cases = load_cases(settings.releases.gate.cases)
    async with _isolated(settings, data_dir) as isolated, open_system(isolated) as system:
        gate = Gate(cases, isolated.releases.gate, on_progress)
        report = await _report(gate, isolated, system, manifest)
    registry.judge(name, report.to_json(), passed=report.passed)
    return report


async def _report(gate: Gate, settings: Settings, system: System, manifest: Manifest) -> GateReport:
    live = system.releases.current
    try:
        if faults := tool_faults(manifest, system.catalogue.pins()):
            raise UserFault(f"The tools are not those of the release: {'; '.join(faults)}.")
        crew = await system.releases.crew(manifest.name)
    except SignalboxError as error:
        return refused(manifest.name, live.release, str(error))
    ours, theirs = _turns(settings, system, crew), _turns(settings, system, live)
    try:
        prompts = list(system.releases.registry.read(manifest.name).prompts.values())
        timeout_s = settings.releases.gate.case_timeout_s
        candidate = Candidate(manifest.name, asker(ours, timeout_s), live.release, asker(theirs, timeout_s), prompts)
        return await gate.judge(candidate)
    finally:
        await asyncio.gather(ours.close(), theirs.close())


def asker(turns: TurnRunner, timeout_s: float) -> Ask:
    """Asks through whole turns, each in a conversation of its own."""
    people = {person.user: person for person in DEMO_USERS}

    async def ask(case: GateCase, question: str) -> RunResult:
        person = people.get(case.user)
        if person is None or case.groups:
            person = Principal(user=case.user, groups=case.groups)
        request = TurnRequest(principal=person, text=question, run_id=new_run_id(), surface="cli")
        try:
            async with asyncio.timeout(timeout_s), contextlib.aclosing(turns.run(request)) as events:  # type: ignore[type-var]
                last = [event async for event in events][-1]
        except TimeoutError:
            raise UpstreamDown(f"There was no answer within {timeout_s:g} s.") from None
        if isinstance(last, RunFinished):
            return last.result
        raise UpstreamDown(last.message if isinstance(last, RunFailed) else "The run was cancelled.")

    return ask


def _turns(settings: Settings, system: System, crew: Crew) -> Turns:
    return Turns(system.conversations, OneCrew(crew), settings.agents, clock=clock_of(settings))


def _alone(settings: Settings, data_dir: Path) -> Settings:
    """Settings by which nothing is written but in this folder, and no batch in it is worked on."""
    chroma = settings.knowledge.retrieval.chroma.model_copy(update={"url": ""})
    retrieval = settings.knowledge.retrieval.model_copy(update={"database_url": None, "chroma": chroma})
    knowledge = settings.knowledge.model_copy(update={"retrieval": retrieval})
    batch = settings.batch.model_copy(update={"enabled": False})
    own = {"data_dir": data_dir, "database_url": None, "knowledge": knowledge, "batch": batch}
    return settings.model_copy(update=own)


@asynccontextmanager
async def _isolated(settings: Settings, data_dir: Path | None) -> AsyncIterator[Settings]:
    if data_dir is not None:
        yield _alone(settings, data_dir)
        return
    if not settings.demo.enabled:
        hint = "Give it one with --data-dir: a copy of your own that no system uses meanwhile."
        raise UserFault("Without the demo, the gate needs a data folder to ask about.", hint=hint)
    folder = Path(tempfile.mkdtemp(prefix="signalbox-gate-"))
    try:
        lock = Paths(settings.data_dir).tools_lock
        if lock.is_file():
            shutil.copy(lock, Paths(folder).tools_lock)
        isolated = _alone(settings, folder)
        demo = DemoWorkspace(isolated)
        if demo.needs_operations:
            await asyncio.to_thread(demo.write_operations)
        if demo.needs_desk:
            await asyncio.to_thread(demo.write_desk)
        await demo.read_documents(lambda *_: None)
        yield isolated
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
