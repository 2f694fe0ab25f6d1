"""Writes one answer from what several steps found."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage

from agents.contracts import StepOutcome
from agents.planner import described
from agents.prompting import Prompts
from agents.release import Release
from agents.scope import Turn, bounded, child_of
from agents.settings import AgentsSettings
from inference.contracts import Models

_SHARE = 0.9
"""Of the time that is left: should it not suffice, there is time to say the findings one by one."""


class Synthesiser:
    """Streams the answer into the turn's release."""

    def __init__(self, models: Models, prompts: Prompts, settings: AgentsSettings) -> None:
        self._models = models
        self._prompts = prompts
        self._settings = settings

    async def write(self, turn: Turn, outcomes: Sequence[StepOutcome]) -> str:
        """Write from `outcomes`, as data; returns why the model stopped. Raises `TimeoutError` when it does not."""
        sections = turn.sections(outcomes=[described(outcome) for outcome in outcomes])
        messages = self._prompts.messages("synthesiser", sections)
        client = turn.equipped(self._models.client("synthesiser", turn.calls))
        return await bounded(
            lambda token: stream_into(turn.release, client, messages, token),
            child_of(turn.token),
            timeout_s=min(self._settings.synthesiser_timeout_s, turn.budget.left_s() * _SHARE),
            grace_s=self._settings.stop_grace_s,
        )


async def stream_into(
    release: Release,
    client: ChatCompletionClient,
    messages: Sequence[LLMMessage],
    token: CancellationToken,
    *,
    extra: Mapping[str, Any] | None = None,
) -> str:
    """Stream one model call through the gate, with `extra` as call parameters; returns the finish reason."""
    streamed = False
    reason = "stop"
    stream = client.create_stream(messages, cancellation_token=token, extra_create_args=extra or {})
    async with contextlib.aclosing(stream) as chunks:  # type: ignore[type-var]  # declared wider than it is
        async for chunk in chunks:
            if isinstance(chunk, CreateResult):
                reason = chunk.finish_reason
                if not streamed and isinstance(chunk.content, str):
                    await release.feed(chunk.content)
            else:
                streamed = True
                await release.feed(chunk)
    await release.finish()
    return reason
