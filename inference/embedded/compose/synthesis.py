"""One answer from the findings of several steps: in order, without repeats, citations kept."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from inference.embedded.text import clip, key_stems

CITATION = re.compile(r"\s*\[#[0-9a-f]{8}\]")
_SAME = 0.85


def synthesise(outcomes: Sequence[Mapping[str, Any]]) -> str:
    """The findings of the steps that found something; NO_ANSWER when none did. Failures are told by code, not here."""
    told: list[str] = []
    seen: list[frozenset[str]] = []
    missing: list[str] = []
    for outcome in outcomes:
        findings = str(outcome.get("findings") or "").strip()
        if outcome.get("status") != "ok" or not findings:
            continue
        if findings.startswith("NO_ANSWER") or outcome.get("declined"):
            missing.append(_task(outcome))
            continue
        fresh = _without_repeats(findings, seen)
        if fresh:
            told.append(fresh)
    if not told:
        about = f": {'; '.join(missing)}." if missing else "."
        return f"NO_ANSWER The documents and data found do not hold an answer{about}"
    asked = {
        str(outcome.get("task") or "") for outcome in outcomes if str(outcome.get("findings") or "") and _told(outcome)
    }
    open_tasks = [task for task in dict.fromkeys(missing) if task and task not in {_clipped(each) for each in asked}]
    if open_tasks:
        told.append(f"Nothing was found about: {'; '.join(open_tasks)}.")
    return "\n\n".join(told)


def _told(outcome: Mapping[str, Any]) -> bool:
    findings = str(outcome.get("findings") or "")
    return outcome.get("status") == "ok" and not findings.startswith("NO_ANSWER") and not outcome.get("declined")


def _task(outcome: Mapping[str, Any]) -> str:
    return _clipped(str(outcome.get("task") or outcome.get("step") or ""))


def _clipped(task: str) -> str:
    return clip(task.strip().rstrip("?. "), 120)


def _without_repeats(findings: str, seen: list[frozenset[str]]) -> str:
    """The paragraphs that say something new."""
    kept: list[str] = []
    for paragraph in re.split(r"\n{2,}", findings):
        said = frozenset(key_stems(CITATION.sub("", paragraph)))
        repeats = said and any(len(said & other) / len(said) >= _SAME for other in seen)
        if not repeats:
            kept.append(paragraph)
            if len(said) > 3:
                seen.append(said)
    return "\n\n".join(kept).strip()
