"""Questions about a folder of real documents, asked through the chat endpoint and scored.

Usage (the gateway runs and has ingested the folder):
    python -m evals.handbook QUESTIONS.jsonl --url http://127.0.0.1:8080 --keys var/keys.json [--out results.jsonl]

A question line has `id`, `question`, `answer_any` (a list of groups: a right answer holds, ignoring case, one string of
every group; no groups: right is to decline) and `evidence` (files, at least one known source).
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2

_TIMEOUT_S = 120.0
_TOP = 5


@dataclass(frozen=True)
class Question:
    """One labelled question."""

    id: str
    kind: str
    text: str
    answer_any: tuple[tuple[str, ...], ...]
    files: tuple[str, ...]

    @property
    def answerable(self) -> bool:
        return bool(self.answer_any)


@dataclass(frozen=True)
class Scored:
    """One answer with its marks; `right_file` and `right_words` are None for unanswerable questions."""

    id: str
    kind: str
    answerable: bool
    declined: bool
    right_file: bool | None
    right_words: bool | None
    seconds: float
    answer: str
    files: tuple[str, ...]


def read_questions(path: Path) -> list[Question]:
    """The questions of a JSON-lines file; the first folder of an evidence path names the set and is dropped."""
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return [
        Question(
            id=row["id"],
            kind=row.get("type", ""),
            text=row["question"],
            answer_any=tuple(tuple(group) for group in row.get("answer_any", [])),
            files=tuple(item["file"].removeprefix("pages/") for item in row.get("evidence", [])),
        )
        for row in rows
    ]


def ask(client: httpx2.Client, question: Question) -> Scored:
    """Ask one question in a conversation of its own."""
    started = time.perf_counter()
    body = {"model": "signalbox", "messages": [{"role": "user", "content": question.text}]}
    response = client.post("/v1/chat/completions", json=body)
    seconds = time.perf_counter() - started
    response.raise_for_status()
    reply = response.json()
    text = reply["choices"][0]["message"]["content"]
    record = reply["signalbox"]
    files = tuple(dict.fromkeys(source["document"] for source in record["sources"]))[:_TOP]
    lowered = text.lower()
    words = all(any(option.lower() in lowered for option in group) for group in question.answer_any)
    return Scored(
        id=question.id,
        kind=question.kind,
        answerable=question.answerable,
        declined=record["declined"],
        right_file=any(file in files for file in question.files) if question.answerable else None,
        right_words=words and not record["declined"] if question.answerable else None,
        seconds=seconds,
        answer=text,
        files=files,
    )


def report(scored: Sequence[Scored]) -> str:
    """The figures as a Markdown table, by kind of question and in all."""
    answerable = [item for item in scored if item.answerable]
    rest = [item for item in scored if not item.answerable]
    times = sorted(item.seconds for item in scored)
    lines = [
        "| measure | value |",
        "|---|---|",
        f"| questions | {len(scored)} ({len(rest)} unanswerable) |",
        f"| right file in the top {_TOP} | {_share(answerable, 'right_file')} |",
        f"| expected strings in the answer | {_share(answerable, 'right_words')} |",
        f"| unanswerable declined | {_share(rest, 'declined')} |",
        f"| answerable declined | {_share(answerable, 'declined')} |",
        f"| latency p50 / p95 | {statistics.median(times):.2f} s / {times[int(0.95 * (len(times) - 1))]:.2f} s |",
    ]
    kinds: dict[str, list[Scored]] = defaultdict(list)
    for item in answerable:
        kinds[item.kind].append(item)
    lines += [f"| expected strings, {kind} | {_share(items, 'right_words')} |" for kind, items in sorted(kinds.items())]
    return "\n".join(lines)


def _share(items: Sequence[Scored], name: str) -> str:
    if not items:
        return "–"
    hits = sum(bool(getattr(item, name)) for item in items)
    return f"{hits / len(items):.2f} ({hits}/{len(items)})"


def main() -> None:
    """Ask every question and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("questions", type=Path)
    arguments.add_argument("--url", default="http://127.0.0.1:8080")
    arguments.add_argument("--keys", type=Path, default=Path("var/keys.json"))
    arguments.add_argument("--user", default=None, help="whose key; default: the first")
    arguments.add_argument("--out", type=Path, default=None, help="write each answer with its marks here")
    given = arguments.parse_args()
    keys = json.loads(given.keys.read_text())
    key = keys[given.user or next(iter(keys))]
    headers = {"Authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=given.url, headers=headers, timeout=_TIMEOUT_S) as client:
        scored = [ask(client, question) for question in read_questions(given.questions)]
    if given.out:
        given.out.write_text("".join(json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in scored))
    print(report(scored))


if __name__ == "__main__":
    main()
