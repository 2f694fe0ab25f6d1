"""What code says itself, for a model may forget it: what failed, what was not done, what waits for a person."""

from collections.abc import Sequence

from agents.contracts import StepOutcome

NOTHING = "I could not answer this."
OUT_OF_TIME = "This took longer than a turn may take and was stopped here."


def notes(
    outcomes: Sequence[StepOutcome],
    assumptions: Sequence[str] = (),
    *,
    open_needs: Sequence[str] = (),
    dropped: int = 0,
) -> str:
    """What was taken for granted, and one line for each step that did not simply succeed; empty when all did."""
    taken = [f"I assumed: {assumption.rstrip('. ')}." for assumption in assumptions]
    still_open = [f"Still to be found out: {need.rstrip('. ')}." for need in open_needs if need]
    return "\n".join(dict.fromkeys(filter(None, [*taken, _left_out(dropped), *map(_note, outcomes), *still_open])))


def _left_out(claims: int) -> str:
    if not claims:
        return ""
    what = "A statement was" if claims == 1 else f"{claims} statements were"
    return f"{what} left out: the source that it names does not say so."


def _note(outcome: StepOutcome) -> str:
    name = outcome.step.specialist
    reason = outcome.reason.rstrip(". ")
    match outcome.status:
        case "ok":
            if not outcome.cut:
                return ""
            spent = " and ".join(outcome.cut)
            return f"The {name} specialist wanted to go further, but its budget of {spent} was used up."
        case "timeout":
            return f"The {name} specialist {reason}."
        case "denied":
            return f"The {name} specialist was not allowed to do this" + (f": {reason}." if reason else ".")
        case "skipped":
            return f"A step for the {name} specialist was left out: {reason}."
        case "awaiting_approval":
            previews = "\n".join(f"- {approval.preview.strip()}" for approval in outcome.approvals)
            return f"Nothing has been done yet. This waits for approval:\n{previews}"
        case "cancelled":
            return f"The {name} specialist was stopped."
        case "failed":
            return f"The {name} specialist could not do its part" + (f": {reason}." if reason else ".")
