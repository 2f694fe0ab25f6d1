"""The governed tool bus: every source, every filter, one door."""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import structlog

from knowledge.contracts import Embedder
from policies.engine import Policy
from runs.events import ApprovalRequested, Progress, ToolCalled, ToolFinished
from signalbox.errors import Bug, SignalboxError, UpstreamDown, UserFault
from signalbox.identity import Chain, TokenMint
from toolbus.approved import ApprovedCalls
from toolbus.arguments import ArgumentCheck
from toolbus.audit import AuditLog
from toolbus.call import Call
from toolbus.catalogue import Catalogue
from toolbus.contracts import ApprovalDesk, Budget, CallContext, ToolOutcome, ToolSpec
from toolbus.filters import AuditFilter, AuthoriseFilter, BudgetAndApprovalFilter, RedactFilter
from toolbus.leftovers import MORE, read_on
from toolbus.making import make_source
from toolbus.offer import Offer
from toolbus.preview import Previewer
from toolbus.relevance import ToolRanker
from toolbus.settings import OpenApiSpec, ServerSpec, ToolBusSettings
from toolbus.sources import DeclaredTool, OnProgress, SourceCall, ToolSource
from toolbus.workbench import StepWorkbench

if TYPE_CHECKING:
    from toolbus.kernel import GovernedKernel

_log = structlog.get_logger(__name__)
_EMIT_AFTER_CANCEL_S = 1.0


class KernelToolBus:
    """Implements `ToolBus` on one Semantic Kernel `Kernel`; made by `open`, ended by `close`."""

    def __init__(self, catalogue: Catalogue, policy: Policy, settings: ToolBusSettings) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._sources: dict[str, ToolSource] = {}
        self._offer = Offer(policy, catalogue, self._is_up)
        self._check = ArgumentCheck(settings.max_argument_bytes)
        self._approved = ApprovedCalls()
        self._kernel: GovernedKernel | None = None
        self._building: asyncio.Task[GovernedKernel] | None = None
        self._ranker: ToolRanker | None = None
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        specs: Sequence[ServerSpec | OpenApiSpec],
        *,
        policy: Policy,
        approvals: ApprovalDesk,
        audit: AuditLog,
        catalogue: Catalogue,
        mint: TokenMint | None = None,
        settings: ToolBusSettings | None = None,
    ) -> Self:
        """Connect to every server in parallel; one that does not come up is retried behind the scenes."""
        bus = cls(catalogue, policy, settings or ToolBusSettings())
        for spec in specs:
            bus._add(make_source(spec, bus._settings, mint))
        starting = [asyncio.create_task(source.start(bus._on_listed)) for source in bus._sources.values()]
        try:
            await asyncio.gather(*starting)
        except BaseException:
            for task in starting:
                task.cancel()
            await bus.close()
            raise
        bus._install()
        bus._building = asyncio.create_task(bus._build_kernel(policy, approvals, audit), name="tool kernel")
        bus._watching = asyncio.create_task(bus._watch_catalogue(), name="tool catalogue")
        return bus

    async def ready(self) -> None:
        """Return once no call has to wait for the bus itself any more."""
        await self._built()

    async def connect(self, source: ToolSource) -> None:
        """One more source of tools of any kind; closed with the bus."""
        self._add(source)
        await source.start(self._on_listed)

    def _add(self, source: ToolSource) -> None:
        if source.name in self._sources:
            raise UserFault(
                f"Two sources of tools are called {source.name!r}.",
                hint="Rename one in mcp.json, openapi or a2a.agents.",
            )
        self._sources[source.name] = source

    async def close(self) -> None:
        """Disconnect from every server; when this returns no process that we started is left."""
        for task in (self._watching, self._building):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await asyncio.gather(*(source.close() for source in self._sources.values()))

    async def _build_kernel(self, policy: Policy, approvals: ApprovalDesk, audit: AuditLog) -> "GovernedKernel":
        # The library takes two seconds of CPU to import: the bus is open before it is there, calls wait for it.
        kernel_module = await asyncio.to_thread(__import__, "toolbus.kernel", fromlist=["GovernedKernel"])
        auditing = AuditFilter(audit, policy)
        filters = (
            auditing,
            AuthoriseFilter(policy, self._catalogue),
            BudgetAndApprovalFilter(approvals, Previewer(self._sources, self._settings), auditing.before_effect),
            RedactFilter(self._settings),
        )
        kernel: GovernedKernel = kernel_module.GovernedKernel(filters, self._invoke)
        self._kernel = kernel
        self._install()
        return kernel

    # -- what the layers above see

    async def tools(self, chain: Chain) -> Sequence[ToolSpec]:
        """Every approved tool that this chain may call, on servers that are up."""
        return self._offer.of(chain)

    async def workbench(self, context: CallContext, patterns: Sequence[str]) -> StepWorkbench:
        """The tools whose names match `patterns`, bound to one step."""
        return StepWorkbench(self, context, patterns)

    async def call_approved(
        self, context: CallContext, tool: str, arguments: dict[str, Any], approval_id: str, *, begun: bool = False
    ) -> ToolOutcome:
        """Run exactly what was approved, once: asked again for the same approval, the first outcome is given.

        What another process had begun is made again only where that cannot double the effect.
        """

        async def execute() -> ToolOutcome:
            spec = self._offer.find(tool)
            if spec is None:
                return ToolOutcome(tool, "denied", f"{tool!r} is no longer available as it was when it was proposed.")
            repeatable = spec.read_only or spec.idempotent or self._sources[spec.server].ours
            call = Call(context, spec, arguments, self._timeout(context, spec), approval_id=approval_id)
            call.interrupted = begun and not repeatable
            return await self._run(call)

        outcome = await self._approved.once(approval_id, execute)
        context.outcomes.append(outcome)
        return outcome

    async def raw_call(
        self,
        chain: Chain,
        tool: str,
        arguments: dict[str, Any],
        *,
        run_id: str = "",
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> ToolOutcome:
        """A call that no agent makes (search for a user, ingest with progress), through the same filters.

        Never raises for what a tool or a policy did: look at the outcome's status.
        """
        context = CallContext(
            chain=chain,
            run_id=run_id,
            step_id="",
            conversation_id="",
            budget=Budget(tool_calls=1, tokens=0, deadline=math.inf),
            emit=_nowhere,
        )
        spec = self._offer.one(chain, tool)
        if spec is None:
            return await self._not_given(context, ("*",), tool, arguments)
        limit = timeout_s if timeout_s is not None else self._timeout(context, spec)
        return await self._run(Call(context, spec, arguments, limit, on_progress=on_progress))

    async def health(self) -> dict[str, str]:
        """Per server: `up`, or what is wrong with it."""
        return {name: source.status() for name, source in self._sources.items()}

    def attach_embedder(self, embedder: Embedder) -> None:
        """From now on a step with many tools is offered those that fit its task (`CallContext.task`)."""
        self._ranker = ToolRanker(embedder, self._settings.max_offered_tools)

    def refresh(self) -> None:
        """Take note of approvals and revocations now; those of the command line are noticed by themselves."""
        self._catalogue.reload()
        self._install()

    # -- what a step's workbench sees

    async def offered(self, context: CallContext, patterns: Sequence[str]) -> Sequence[ToolSpec]:
        """The tools of a step now, and the one to read on with where a result was cut."""
        tools = self._offer.of(context.chain, patterns)
        if self._ranker is not None:
            tools = await self._ranker.narrow(context.task, tools, always=patterns)
        return [*tools, MORE] if context.leftovers else tools

    async def run(self, context: CallContext, patterns: Sequence[str], tool: str, arguments: Any) -> ToolOutcome:
        """One call for a step; the caller records the outcome."""
        if tool == MORE.name:
            fault = self._check.fault(MORE.pin, MORE.input_schema, arguments)
            return ToolOutcome(tool, "error", fault) if fault else read_on(context, arguments, self._settings)
        spec = self._offer.one(context.chain, tool, patterns)
        if spec is None:
            return await self._not_given(context, patterns, tool, arguments)
        return await self._run(Call(context, spec, arguments, self._timeout(context, spec)))

    # -- one call

    async def _run(self, call: Call) -> ToolOutcome:
        fault = self._check.fault(call.tool.pin, call.tool.input_schema, call.arguments)
        return call.outcome("error", fault) if fault else await self._filtered(call)

    async def _not_given(
        self, context: CallContext, patterns: Sequence[str], tool: str, arguments: dict[str, Any]
    ) -> ToolOutcome:
        """A tool that is not there; one that the policy forbids is refused by the policy, which goes on record."""
        spec = self._offer.refused(context.chain, tool, patterns)
        if spec is None or self._check.fault("any object", {}, arguments):
            return self._absent(context.chain, tool)
        return await self._filtered(Call(context, spec, arguments, self._timeout(context, spec), refused=True))

    async def _filtered(self, call: Call) -> ToolOutcome:
        kernel = await self._built()
        emit, step = call.context.emit, call.context.step_id
        called = ToolCalled(
            run_id=call.context.run_id,
            call_id=call.call_id,
            step_id=step,
            tool=call.tool.name,
            arguments=call.masked,
        )
        await emit(called)
        try:
            outcome = await kernel.run(call)
        except BaseException as error:
            status = "cancelled" if isinstance(error, asyncio.CancelledError) else "error"
            await _last_words(call, self._finished(call, status))
            raise
        if outcome.approval is not None:
            await emit(ApprovalRequested(run_id=call.context.run_id, step_id=step, approval=outcome.approval))
        await emit(self._finished(call, outcome.status))
        return outcome

    async def _invoke(self, call: Call) -> ToolOutcome:
        source = self._sources[call.tool.server]
        request = SourceCall(
            tool=call.tool.tool,
            arguments=call.arguments,
            chain=call.context.chain,
            call_id=call.call_id,
            timeout_s=call.timeout_s,
            run_id=call.context.run_id,
            idempotency_key=call.approval_id or call.call_id,
            replayable=call.tool.read_only or call.tool.idempotent,
            on_progress=self._progress(call),
        )
        try:
            call.raw = await source.call(request)
        except asyncio.CancelledError:
            if not call.tool.read_only:
                call.context.unsettled.append(call.tool.name)
            raise
        except SignalboxError as error:
            call.note = error.code
            return call.outcome("error", str(error))
        outcome = call.outcome("error" if call.raw.is_error else "ok", call.raw.text, call.raw.structured)
        return replace(outcome, answered=True)

    def _progress(self, call: Call) -> OnProgress:
        async def forward(progress: float, total: float | None, message: str | None) -> None:
            if call.on_progress is not None:
                await call.on_progress(progress, total, message)
            fraction = min(1.0, max(0.0, progress / total)) if total else None
            event = Progress(
                run_id=call.context.run_id,
                step_id=call.context.step_id,
                message=(message or f"{call.tool.name} is working")[:300],
                fraction=fraction,
            )
            await call.context.emit(event)

        return forward

    def _finished(self, call: Call, status: Any) -> ToolFinished:
        return ToolFinished(
            run_id=call.context.run_id,
            call_id=call.call_id,
            step_id=call.context.step_id,
            tool=call.tool.name,
            status=status,
            duration_ms=call.duration_ms,
        )

    def _absent(self, chain: Chain, tool: str) -> ToolOutcome:
        server = tool.partition("__")[0]
        source = self._sources.get(server)
        if source is not None and source.status() != "up":
            return ToolOutcome(tool, "error", f"{server!r} is not available: {source.status()}.")
        _log.info("toolbus.absent", tool=tool[:100], user=chain.principal.user)
        return ToolOutcome(tool, "denied", f"There is no tool {tool[:100]!r} for you here. Use one of those offered.")

    def _timeout(self, context: CallContext, spec: ToolSpec) -> float:
        source = self._sources.get(spec.server)
        limit_s = (source.call_timeout_s if source else None) or self._settings.call_timeout_s
        return max(0.01, min(limit_s, context.budget.deadline - time.monotonic()))

    # -- sources

    def _is_up(self, server: str) -> bool:
        source = self._sources.get(server)
        return source is not None and source.is_offering()

    def _on_listed(self, source: ToolSource, tools: Sequence[DeclaredTool]) -> None:
        self._catalogue.declare(source.name, tools, auto_approve=source.auto_approve)
        self._install()

    async def _watch_catalogue(self) -> None:
        said = ""
        while True:
            await asyncio.sleep(self._settings.catalogue_poll_s)
            try:
                if self._catalogue.reload():
                    _log.info("toolbus.catalogue_reloaded")
                    self._install()
                said = ""
            except SignalboxError as error:
                if said != (said := str(error)):
                    _log.error("toolbus.catalogue_unreadable", error=said)

    async def _built(self) -> "GovernedKernel":
        if self._kernel is not None:
            return self._kernel
        if self._building is None:
            raise Bug("A tool was called on a bus that is not open.")
        return await asyncio.shield(self._building)

    def _install(self) -> None:
        offered = self._catalogue.offered()
        if self._kernel is not None:
            self._kernel.install(list(offered.values()))
        self._offer.install(offered)


async def _last_words(call: Call, event: ToolFinished) -> None:
    # We are being cancelled: say so, but let no slow reader hold the cancellation up.
    try:
        await asyncio.wait_for(call.context.emit(event), _EMIT_AFTER_CANCEL_S)
    except (TimeoutError, UpstreamDown):
        _log.debug("toolbus.event_lost", call=call.call_id)


async def _nowhere(_event: Any) -> None:
    return None
