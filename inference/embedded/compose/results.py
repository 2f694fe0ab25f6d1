"""Says what the tools of a step brought back, whatever they were."""

from collections.abc import Sequence

from inference.embedded.compose.evidence import gather
from inference.embedded.compose.passages import Answer, PassageComposer
from inference.embedded.compose.receipts import is_receipt, state_error, state_receipt
from inference.embedded.compose.rows import is_table, state_table
from inference.embedded.prompt_reader import ToolResult
from inference.embedded.settings import EmbeddedSettings


class ResultComposer:
    """Composes the reply of a specialist from its tool results."""

    def __init__(self, passages: PassageComposer, settings: EmbeddedSettings) -> None:
        self._passages = passages
        self._settings = settings

    async def compose(self, question: str, results: Sequence[ToolResult]) -> Answer:
        """Tables first stated, receipts repeated, passages quoted, errors told."""
        said: list[str] = []
        quotable: list[ToolResult] = []
        failed: list[str] = []
        for result in results:
            data = result.data or {}
            if result.is_error:
                failed.append(state_error(result))
            elif is_table(data):
                said.append(state_table(result, max_rows=self._settings.max_table_rows))
            elif is_receipt(data) and not data.get("evidence"):
                said.append(state_receipt(result))
            else:
                quotable.append(result)
        answer: Answer | None = None
        if quotable:
            evidence = gather(quotable, max_chars=self._settings.max_evidence_chars)
            answer = await self._passages.answer(question, evidence)
            if not answer.declined or not (said or failed):
                said.append(answer.text)
        text = "\n\n".join(dict.fromkeys([*said, *failed]))
        return Answer(
            text, answer.confidence if answer else 1.0, declined=bool(answer and answer.declined and not said[:-1])
        )
