"""Is a plan one that can run? The checks that no model is trusted with."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

from pydantic import Field, create_model

from agents.contracts import MAX_STEPS, Plan, Step

_SHORTEST_S = 5.0


@lru_cache(maxsize=64)
def plan_schema(specialists: tuple[str, ...]) -> type[Plan]:
    """`Plan` with the specialists' names closed: a server with guided decoding cannot write any other."""
    step = create_model("Step", __base__=Step, specialist=(Literal[specialists], ...))
    return create_model("Plan", __base__=Plan, steps=(list[step], Field(default_factory=list, max_length=MAX_STEPS)))


def problems(plan: Plan, known: Sequence[str], *, asked_before: bool = False) -> list[str]:
    """What is wrong with a plan, in words that the planner can act on; empty when it can run."""
    steps = plan.steps
    ids = [step.id for step in steps]
    found: list[str] = []
    if len(steps) > MAX_STEPS:
        found.append(f"There are {len(steps)} steps; at most {MAX_STEPS} are allowed.")
    found += [f"The id {name!r} is used more than once." for name in dict.fromkeys(ids) if ids.count(name) > 1]
    for step in steps:
        if step.specialist not in known:
            found.append(f"Step {step.id!r} names {step.specialist!r}, which is no specialist: {', '.join(known)}.")
        if not step.task.strip():
            found.append(f"Step {step.id!r} has no task.")
        found += [f"Step {step.id!r} needs {need!r}, which is no step." for need in step.needs if need not in ids]
    if not found and not _acyclic(steps):
        found.append("The steps need each other in a circle.")
    if not steps and not plan.reply.strip() and not plan.question.strip():
        found.append("There are neither steps nor a reply nor a question.")
    if not steps and plan.question.strip() and asked_before:
        found.append("The user was asked a question already. Plan the most sensible reading and say what you assume.")
    return found


def clamped(plan: Plan, limits_s: Mapping[str, float]) -> Plan:
    """The plan with every time-out inside what its specialist may take, and nothing said that does not belong to it."""
    steps = [
        step.model_copy(update={"timeout_s": _clamp(step.timeout_s, limits_s[step.specialist])}) for step in plan.steps
    ]
    # Who works does not ask, and who does not work assumed nothing.
    question = "" if steps else plan.question.strip()
    assumptions = [text for text in (text.strip()[:300] for text in plan.assumptions) if text] if steps else []
    return plan.model_copy(update={"steps": steps, "question": question, "assumptions": assumptions})


def _clamp(wanted_s: float, limit_s: float) -> float:
    if not math.isfinite(wanted_s) or wanted_s <= 0:
        return limit_s
    return min(max(wanted_s, _SHORTEST_S), limit_s)


def _acyclic(steps: Sequence[Step]) -> bool:
    done: set[str] = set()
    waiting = list(steps)
    while waiting:
        ready = [step for step in waiting if done.issuperset(step.needs)]
        if not ready:
            return False
        done.update(step.id for step in ready)
        waiting = [step for step in waiting if step.id not in done]
    return True
