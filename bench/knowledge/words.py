"""FTS5 beside tantivy over the same record: what a look-up of words costs, and whether both find the same.

python -m bench.knowledge.scale --passages 100000 --data DIR      # leaves a record
python -m bench.knowledge.words DIR [--groups 1 20 100]
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.knowledge.measure import Stopwatch, load, megabytes, percentiles
from bench.knowledge.synthetic import principal_groups, questions_of
from knowledge.index.lexical import LexicalIndex, LexicalScope
from knowledge.index.lexical_sqlite import SqliteLexicalIndex
from knowledge.index.lexical_tantivy import TantivyLexicalIndex
from knowledge.store.access import visible_sets
from knowledge.store.database import Database
from signalbox.database import open_engine, sqlite_url
from signalbox.identity import Principal

Answers = list[list[str]]


async def ask(database: Database, index: LexicalIndex, questions: list[str], sets: list[list[int]]) -> Answers:
    """Every question under one of the access sets; prints what it cost."""
    cpu, wall, found = [], [], []
    for number, question in enumerate(questions):
        scope = LexicalScope(sets[number % len(sets)], None)
        begun, burnt = time.perf_counter(), time.process_time()
        async with database.read() as connection:
            hits = await index.search(connection, question, scope, 100)
        cpu.append(1000 * (time.process_time() - burnt))
        wall.append(1000 * (time.perf_counter() - begun))
        found.append([name for name, _ in hits])
    (half, slow), (usual, late) = percentiles(cpu), percentiles(wall)
    print(f"{half:.1f} / {slow:.1f} | {usual:.1f} / {late:.1f} |", end=" ", flush=True)
    return found


async def main(data: Path, groups: list[int]) -> None:
    """Both, for each number of groups."""
    with tempfile.TemporaryDirectory(prefix="bench-words-") as temporary:
        record = Path(temporary) / "record.db"
        shutil.copy(data / "knowledge" / "record.db", record)
        database = Database(open_engine(sqlite_url(record)))
        fts5, tantivy = SqliteLexicalIndex(), TantivyLexicalIndex(Path(temporary) / "words", database)
        async with database.write() as connection:
            await tantivy.create(connection)
        watch = Stopwatch()
        await tantivy.build()
        async with database.read() as connection:
            rows = await tantivy.rows(connection)
            whole = await tantivy.intact(connection)
        size = megabytes(Path(temporary) / "words")
        print(f"tantivy: {rows} rows in {watch.wall_s:.0f} s ({watch.cpu_s:.0f} CPU-s), {size:.0f} MB, intact: {whole}")
        print("| groups | FTS5 CPU-ms p50 / p95 | ms | tantivy CPU-ms p50 / p95 | ms | same among the first 10 |")
        print("|---|---|---|---|---|---|")
        questions = questions_of(data / "documents")
        for count in groups:
            chance = np.random.default_rng(count)
            people = [Principal(user=f"p{n}", groups=principal_groups(chance, count)) for n in range(10)]
            async with database.read() as connection:
                sets = [await visible_sets(connection, person.tenant, person.subjects) for person in people]
            print(f"| {count} |", end=" ")
            one = await ask(database, fts5, questions, sets)
            other = await ask(database, tantivy, questions, sets)
            same = [len(set(a[:10]) & set(b[:10])) / len(a[:10]) for a, b in zip(one, other, strict=True) if a]
            print(f"{np.mean(same):.3f} |", flush=True)
        print(load())
        await tantivy.close()
        await database.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--groups", type=int, nargs="+", default=[1, 20, 100])
    given = parser.parse_args()
    asyncio.run(main(given.data, given.groups))
