"""What became of an action is said in the conversation that asked for it."""

from conversations.contracts import ConversationStore
from runs.approvals import Announce, Approval
from runs.events import RunResult
from signalbox.identity import Principal


def announce_in(store: ConversationStore) -> Announce:
    """An `Announce` for `runs.approvals.Approvals` that adds an assistant message for each ended approval."""

    async def announce(approval: Approval) -> None:
        if not approval.conversation_id:
            return
        owner = Principal(user=approval.user, tenant=approval.tenant)
        result = RunResult(
            run_id=approval.run_id,
            conversation_id=approval.conversation_id,
            text=outcome_text(approval),
            engine="signalbox",
        )
        await store.add_answer(owner, approval.conversation_id, result, approval_id=approval.id)

    return announce


def outcome_text(approval: Approval) -> str:
    """One sentence or two about how an approval ended."""
    if approval.state == "denied":
        reason = f" Reason: {approval.reason}" if approval.reason else ""
        return f"The action was not carried out: {approval.decided_by} declined it.{reason}"
    if approval.state == "failed":
        return f"The action was approved, but it failed. {approval.outcome}".strip()
    return approval.outcome or "The action was carried out."
