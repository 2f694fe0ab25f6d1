"""Questions on a folder of documents, from retrieval to the engine's reply, without the rest of the system.

    python -m evals.embedded.handbook PAGES QUESTIONS.jsonl... --work DIR [--fresh] [--show]

The first run ingests PAGES into DIR and keeps every search there; `--fresh` searches again (after a change of
retrieval). A right answer holds one string of every group of `answer_any`, ignoring case; an unanswerable question is
right when declined.
"""

import argparse
import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evals.embedded.common import embedder
from evals.embedded.searching import Item, Searches, read_cases, searched
from inference.embedded import EmbeddedEngine, EmbeddedSettings
from inference.embedded.compose.evidence import gather
from inference.embedded.compose.passages import Answer
from inference.embedded.compose.synthesis import CITATION


@dataclass(frozen=True)
class Outcome:
    """One question with its answer; `reachable`: the passages hold the expected words."""

    case: Item
    answer: Answer
    reachable: bool
    cpu_ms: float

    @property
    def answerable(self) -> bool:
        return bool(self.case["answer_any"])

    @property
    def right(self) -> bool:
        return is_right(self.case, self.answer.text) and not self.answer.declined

    @property
    def words(self) -> int:
        return len(CITATION.sub("", self.answer.text).split())


def is_right(case: Item, text: str) -> bool:
    """Whether one string of every group occurs."""
    return all(any(part.lower() in text.lower() for part in group) for group in case["answer_any"])


async def answered(cases: list[Item], searches: Searches) -> list[Outcome]:
    """Compose every answer."""
    engine = EmbeddedEngine(embedder(), EmbeddedSettings())
    outcomes = []
    for case in cases:
        evidence = gather(searches.results(case["question"]), max_chars=engine.settings.max_evidence_chars)
        started = time.process_time()
        answer = await engine.passages.answer(case["question"], evidence)
        took = (time.process_time() - started) * 1000
        held = is_right(case, " ".join(each.text for each in evidence.passages))
        outcomes.append(Outcome(case, answer, held, took))
    return outcomes


def report(name: str, outcomes: list[Outcome]) -> None:
    """A few lines of figures."""
    present = [each for each in outcomes if each.answerable]
    absent = [each for each in outcomes if not each.answerable]
    kinds: dict[str, list[bool]] = defaultdict(list)
    for each in present:
        kinds[each.case.get("type", "")].append(each.right)
    words = [each.words for each in outcomes if not each.answer.declined]
    times = [each.cpu_ms for each in outcomes]
    print(
        f"{name}: {len(outcomes)} questions, {len(absent)} of them unanswerable\n"
        f"  right {np.mean([e.right for e in present]):.3f}"
        f" (undeclined {np.mean([is_right(e.case, e.answer.text) for e in present]):.3f},"
        f" passages hold it {np.mean([e.reachable for e in present]):.3f}): "
        + ", ".join(f"{kind} {np.mean(right):.2f}" for kind, right in sorted(kinds.items()))
        + f"\n  declined: answerable {np.mean([e.answer.declined for e in present]):.3f}, "
        f"unanswerable {np.mean([e.answer.declined for e in absent]) if absent else float('nan'):.3f}\n"
        f"  words: mean {np.mean(words):.0f}, p95 {np.quantile(words, 0.95):.0f}; "
        f"CPU p50 {np.median(times):.0f} ms, p95 {np.quantile(times, 0.95):.0f} ms"
    )


async def run(pages: Path, files: list[Path], work: Path, *, fresh: bool, show: bool) -> None:
    """Ask everything, print by file."""
    cases = read_cases(files)
    searches = await searched([case["question"] for case in cases], pages, work, fresh=fresh)
    for path in files:
        outcomes = await answered(read_cases([path]), searches)
        if show:
            for each in outcomes:
                print(f"{each.case['id']} {each.case['question']}\n{each.answer.text}\n")
        report(path.name, outcomes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path)
    parser.add_argument("questions", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    asyncio.run(run(given.pages, given.questions, given.work, fresh=given.fresh, show=given.show))
