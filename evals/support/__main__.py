"""`python -m evals.support [FILE.jsonl ...] [--embedder]`: precision, recall and cost of the check of claims.

A line holds `claim` (or `answer`), `source` and `label` (`supported` | `unsupported`). Without a file: the set beside
this one, 55 claims about texts of a company such as the demo's, in view while the check was written.
"""

import argparse
import asyncio
import json
import time
from pathlib import Path

from agents.claims import ClaimCheck
from agents.evidence import Evidence
from agents.settings import ReviewSettings
from agents.support import Embeds
from toolbus.contracts import ToolOutcome

OURS = Path(__file__).with_name("claims.jsonl")


async def judge(rows: list[dict], embedder: Embeds | None) -> dict:
    check = ClaimCheck(ReviewSettings(), embedder)
    counts = dict.fromkeys(("caught", "missed", "kept", "wronged"), 0)
    wrong: list[str] = []
    spent = 0.0
    for row in rows:
        evidence = Evidence()
        item = {"text": row["source"], "document": "source"}
        (source,) = evidence.add(ToolOutcome("eval__source", "ok", row["source"], {"evidence": [item]}))
        claim = row.get("claim") or row["answer"]
        began = time.process_time()
        holds = await check.holds(claim, [source.ref], evidence)
        spent += time.process_time() - began
        kind = ("kept" if holds else "wronged") if row["label"] == "supported" else ("missed" if holds else "caught")
        counts[kind] += 1
        if kind in ("missed", "wronged"):
            wrong.append(f"{kind}: {claim[:110]}")
    return {**counts, "cpu_ms_each": round(spent * 1000 / len(rows), 2), "wrong": wrong}


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*", type=Path, default=[OURS])
    parser.add_argument("--embedder", action="store_true", help="with the meaning of what words alone leave open")
    parser.add_argument("--show", type=int, default=0, help="so many of the wrong ones")
    arguments = parser.parse_args()
    embedder = None
    if arguments.embedder:
        from knowledge.embed import open_embedder
        from knowledge.settings import EmbeddingSettings

        embedder = open_embedder(EmbeddingSettings(), Path("var"))
    for file in arguments.files:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        found = await judge(rows, embedder)
        caught, wronged, kept = found["caught"], found["wronged"], found["kept"]
        print(
            f"{file.name}: {caught} of {caught + found['missed']} unsupported caught, {wronged} of {kept + wronged} "
            f"supported marked by mistake, {found['cpu_ms_each']} CPU-ms each"
        )
        for line in found["wrong"][: arguments.show]:
            print("  ", line)
    if embedder is not None:
        await embedder.close()


asyncio.run(main())
