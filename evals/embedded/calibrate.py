"""Where the embedded engine should decline, for one corpus: from questions that its documents answer.

    python -m evals.embedded.calibrate PAGES QUESTIONS.jsonl... --work DIR [--weights QUESTIONS.jsonl] [--declined .1]

QUESTIONS: lines with `question` and, where known, `answer_any` (without it the question counts as answered by the
documents) and `evidence`. What cannot be answered is met in two ways: questions labelled so (an empty `answer_any`),
and answerable ones with their evidence documents taken away. Prints how well each sign and their sum tell them apart,
what a line costs, and the setting for this corpus: `embedded.decline_below`.

`--weights` makes the engine's own weights from one file: each sign is divided by its spread and counts `SHARES`. They
are not fitted further: on questions that are unanswerable in the documents' own words a fit gives `covered` the weight
0, on others it is the best sign of all.
"""

import argparse
import asyncio
import math
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evals.embedded.common import embedder
from evals.embedded.searching import Item, Searches, files_of, read_cases, searched
from inference.embedded import EmbeddedEngine, EmbeddedSettings
from inference.embedded.compose.certainty import LINE, WEIGHTS, Signs
from inference.embedded.compose.evidence import gather

SHARES = (1.0, 0.5, 0.5, 0.5, 1.5)
_DECLINES = (0.05, 0.08, 0.1, 0.15, 0.2)
Table = NDArray[np.float64]


def auroc(present: Table, absent: Table) -> float:
    """The chance that a present answer scores above an absent one."""
    return float(np.mean([(absent < each).mean() + 0.5 * (absent == each).mean() for each in present]))


async def signs_for(engine: EmbeddedEngine, searches: Searches, case: Item, *, removed: bool) -> Table:
    """The signs of every part of a question."""
    results = searches.results(case["question"], without=files_of(case) if removed else ())
    evidence = gather(results, max_chars=engine.settings.max_evidence_chars)
    answer = await engine.passages.answer(case["question"], evidence)
    return np.array([[value or 0.0 for value in astuple(signs)] for signs in answer.signs]).reshape(-1, len(SHARES))


def surest(parts: list[Table], weights: Table) -> Table:
    """The sum of the surest part of each question."""
    return np.array([float((part @ weights).max(initial=-99.0)) for part in parts])


def print_shares(name: str, groups: dict[str, list[Table]], weights: Table) -> None:
    """What the signs are worth, alone and together, and what lines cost."""
    present = groups["present"]
    others = {kind: parts for kind, parts in groups.items() if kind != "present" and parts}
    print(f"{name}: " + ", ".join(f"{len(parts)} {kind}" for kind, parts in groups.items()))
    for at, field in enumerate(fields(Signs)):
        alone = np.eye(len(SHARES))[at]
        told = {kind: auroc(surest(present, alone), surest(parts, alone)) for kind, parts in others.items()}
        print(f"  {field.name:9} AUROC " + ", ".join(f"{kind} {value:.2f}" for kind, value in told.items()))
    sums = {kind: surest(parts, weights) for kind, parts in groups.items()}
    told = {kind: auroc(sums["present"], sums[kind]) for kind in others}
    print("  together  AUROC " + ", ".join(f"{kind} {value:.2f}" for kind, value in told.items()))
    for share in _DECLINES:
        line = float(np.quantile(sums["present"], share))
        costs = ", ".join(f"{kind} {np.mean(sums[kind] < line):.2f}" for kind in others)
        print(f"  line {line:.2f}: declined present {np.mean(sums['present'] < line):.2f}, {costs}")


async def run(pages: Path, paths: list[Path], work: Path, weigh: Path | None, declined: float) -> None:
    """Print the figures and the setting."""
    every = [*paths, *([weigh] if weigh else [])]
    searches = await searched([case["question"] for case in read_cases(every)], pages, work)
    engine = EmbeddedEngine(embedder(), EmbeddedSettings())
    weights = np.array(WEIGHTS)
    groups: dict[Path, dict[str, list[Table]]] = {}
    for path in dict.fromkeys(every):
        found: dict[str, list[Table]] = {"present": [], "unanswerable": [], "taken away": []}
        for case in read_cases([path]):
            here = case.get("answer_any") is None or bool(case["answer_any"])
            kind = "present" if here else "unanswerable"
            found[kind].append(await signs_for(engine, searches, case, removed=False))
            if here and case.get("evidence"):
                found["taken away"].append(await signs_for(engine, searches, case, removed=True))
        groups[path] = found
    if weigh:
        both = np.vstack([*groups[weigh]["present"], *groups[weigh]["taken away"]])
        weights = np.array(SHARES) / both.std(axis=0)
        print(f"weights from {weigh.name}: {', '.join(f'{value:.1f}' for value in weights)}")
    for path in paths:
        print_shares(path.name, groups[path], weights)
    pooled = np.concatenate([surest(groups[path]["present"], weights) for path in paths])
    line = float(np.quantile(pooled, declined))
    print(f"line for {declined:.0%} of all {len(pooled)} answerable questions declined: {line:.2f} (engine: {LINE})")
    if not weigh:
        print(f"SIGNALBOX__EMBEDDED__DECLINE_BELOW={1 / (1 + math.exp(LINE - line)):.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path)
    parser.add_argument("questions", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=None)
    parser.add_argument("--declined", type=float, default=0.1)
    given = parser.parse_args()
    asyncio.run(run(given.pages, given.questions, given.work, given.weights, given.declined))
