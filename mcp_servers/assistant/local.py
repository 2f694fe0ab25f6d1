"""The assistant behind the gateway's own endpoint: turns of this process, for the principal of the request."""

import contextlib
from typing import Protocol

from mcp.server.mcpserver import Context

from agents.contracts import TurnRequest, TurnRunner
from mcp_servers.assistant.models import Answer, Citation, Passages
from runs.events import RunCancelled, RunEvent, RunFailed, RunFinished, RunResult, StepFinished, StepStarted
from runs.ids import new_run_id
from signalbox.errors import Bug, NotAuthenticated, ToolFault
from signalbox.identity import Principal


class DocumentSearch(Protocol):
    """Searches documents for a principal, under the same policy and audit as an agent's search."""

    async def search(self, principal: Principal, query: str, limit: int) -> Passages:
        """The best passages that the principal may see."""
        ...


class LocalAssistant:
    """Runs turns in this process for whoever the gateway authenticated (`scope["state"]["principal"]`)."""

    def __init__(self, turns: TurnRunner, documents: DocumentSearch) -> None:
        self._turns = turns
        self._documents = documents

    async def ask(self, context: Context, question: str, conversation_id: str | None) -> Answer:
        """Run one turn; steps are reported as progress."""
        request = TurnRequest(
            principal=_principal(context),
            text=question,
            run_id=new_run_id(),
            surface="mcp",
            conversation_id=conversation_id,
        )
        finished = 0
        async with contextlib.aclosing(self._turns.run(request)) as events:  # type: ignore[type-var]
            async for event in events:
                if isinstance(event, RunFinished):
                    return _answer(event.result)
                if isinstance(event, RunFailed | RunCancelled):
                    raise ToolFault(_why(event))
                if isinstance(event, StepStarted | StepFinished):
                    finished += 1
                    await context.report_progress(finished, None, _step_line(event))
        raise Bug(f"Run {request.run_id!r} ended without a terminal event.")

    async def search(self, context: Context, query: str, limit: int) -> Passages:
        """Search with the caller's own access."""
        return await self._documents.search(_principal(context), query, limit)


def _principal(context: Context) -> Principal:
    request = context.request_context.request
    principal = request.scope.get("state", {}).get("principal") if request is not None else None
    if not isinstance(principal, Principal):
        raise NotAuthenticated("This call carries no principal.", hint="Send a Signalbox API key as bearer token.")
    return principal


def _answer(result: RunResult) -> Answer:
    return Answer(
        text=result.text,
        citations=[
            Citation(
                number=source.number, title=source.title, document=source.document, uri=source.uri, quote=source.quote
            )
            for source in result.sources
            if source.cited
        ],
        conversation_id=result.conversation_id,
        run_id=result.run_id,
        declined=result.declined,
        pending_approvals=[f"{approval.id}: {approval.preview}" for approval in result.approvals],
    )


def _why(event: RunEvent) -> str:
    return event.message if isinstance(event, RunFailed) else "The run was stopped."


def _step_line(event: StepStarted | StepFinished) -> str:
    if isinstance(event, StepStarted):
        return f"{event.specialist}: started"
    return f"{event.specialist}: {event.status}"
