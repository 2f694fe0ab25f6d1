"""Retrieval beside what people would pick instead: the same documents, questions and embedder, in one run.

    python -m venv .venv-peers
    .venv-peers/bin/pip install llama-index-core==0.14.25 chromadb==1.5.9 onnxruntime tokenizers
    # (with uv: --link-mode copy; LlamaIndex's NLTK opens no file that has a second link)
    python -m bench.knowledge.compare DATA --peers .venv-peers/bin/python [--models DATA_DIR/models]

DATA holds `tts-handbook/` (pages and questions) and `retrieval/handbook-sections/` (a set in BEIR layout). Each system
takes the documents and answers the questions in a process of its own; `bench/knowledge/peers.py` runs the others.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.knowledge.measure import load
from evals.knowledge.beir import BeirSet, ndcg
from evals.knowledge.beir import load as load_beir
from knowledge.embed.model import ensure_model

_TITLES = {
    "signalbox": "Signalbox",
    "chroma-files": "Chroma, quick-start: whole texts",
    "chroma-1000": "Chroma, quick-start: 1,000 characters",
    "llamaindex": "LlamaIndex, default pipeline",
}


class Contest:
    """Runs systems one after another over the same job."""

    def __init__(self, peers: str, models: Path | None, folder: Path) -> None:
        self._peers = peers
        self._folder = folder
        model = ensure_model(models or folder / "models")
        self._common = {
            "onnx": str(model.onnx),
            "tokenizer": str(model.tokenizer),
            "models": str(model.onnx.parent.resolve()),
        }

    def run(self, system: str, job: dict[str, Any]) -> dict[str, Any]:
        """One system, in a process of its own."""
        request, reply = self._folder / "job.json", self._folder / "reply.json"
        request.write_text(json.dumps({**self._common, "system": system, **job}))
        reply.unlink(missing_ok=True)
        if system == "signalbox":
            command = [sys.executable, "-m", "bench.knowledge.ours"]
        else:
            command = [self._peers, str(Path(__file__).with_name("peers.py"))]
        environment = {**os.environ, "ANONYMIZED_TELEMETRY": "False"}
        subprocess.run([*command, str(request), str(reply)], check=True, env=environment)
        return json.loads(reply.read_text())


def right_file(ranked: dict[str, list[str]], rows: list[dict[str, Any]]) -> float:
    """Share of the answerable questions with a file of the evidence among the first five files."""
    hits = []
    for row in rows:
        files = {item["file"].split("/", 1)[1] for item in row.get("evidence", ())}
        if any(row["answer_any"] or ()):
            hits.append(bool(files & set(ranked[row["id"]][:5])))
    return sum(hits) / len(hits)


def as_job(beir: BeirSet, folder: Path) -> dict[str, Any]:
    """What every system is given of a set: id, title, heading and text of each passage."""
    passages = [
        {
            "id": key,
            "title": row.get("title") or "",
            "heading": (row.get("metadata") or {}).get("heading") or "",
            "text": row["text"],
        }
        for key, row in beir.passages.items()
    ]
    path = folder / "passages.json"
    path.write_text(json.dumps(passages))
    return {"passages": str(path), "questions": beir.queries}


def on_files(contest: Contest, data: Path, systems: list[str]) -> None:
    """Files and labelled questions."""
    pages = data / "tts-handbook" / "pages"
    lines = (data / "tts-handbook" / "questions-dev.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    job = {"folder": str(pages), "questions": {row["id"]: row["question"] for row in rows}}
    print(f"{sum(path.is_file() for path in pages.rglob('*'))} files, {len(rows)} questions; {load()}\n")
    _head("right file in the top 5")
    for system in systems:
        reply = contest.run(system, job)
        _row(system, right_file(reply["ranked"], rows), reply)


def on_sections(contest: Contest, data: Path, systems: list[str], folder: Path) -> None:
    """Ready passages with graded questions."""
    beir = load_beir(data / "retrieval" / "handbook-sections")
    job = as_job(beir, folder)
    print(f"\n{len(beir.passages)} sections, {len(beir.queries)} questions; {load()}\n")
    _head("nDCG@10")
    for system in systems:
        reply = contest.run(system, job)
        gains = [ndcg(reply["ranked"][key], beir.relevant[key]) for key in beir.queries]
        _row(system, sum(gains) / len(gains), reply)


def _head(measure: str) -> None:
    print(f"| | {measure} | pieces | ingest s / CPU-s | CPU-ms a query | peak MB |")
    print("|---|---|---|---|---|---|", flush=True)


def _row(system: str, figure: float, reply: dict[str, Any]) -> None:
    costs = f"{reply['ingest_s']:.0f} / {reply['ingest_cpu_s']:.0f} | {reply['query_cpu_ms']:.0f}"
    print(f"| {_TITLES[system]} | {figure:.3f} | {reply['pieces']} | {costs} | {reply['peak_mb']:.0f} |", flush=True)


def main() -> None:
    """Print a table for files and one for sections."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--peers", required=True, help="the Python that has the others")
    parser.add_argument("--models", type=Path, help="where the converted model is already")
    parser.add_argument("--only", nargs="+", choices=_TITLES, default=list(_TITLES))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-compare-") as temporary:
        folder = Path(temporary)
        contest = Contest(given.peers, given.models, folder)
        on_files(contest, given.data, given.only)
        on_sections(contest, given.data, given.only, folder)
    print(f"\n{load()}")


if __name__ == "__main__":
    main()
