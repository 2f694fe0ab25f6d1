"""Opens an embedded Chroma folder in a process of its own: a torn segment can take the whole process with it.

`python -m knowledge.index.probe FOLDER` ends with 0 when every collection can be read and searched.
"""

import subprocess
import sys
from pathlib import Path

_TIMEOUT_S = 120


def healthy(folder: Path) -> bool:
    """Whether a child process survives reading and searching everything in `folder`."""
    command = [sys.executable, "-m", "knowledge.index.probe", str(folder)]
    root = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def examine(folder: Path) -> None:
    """Read and search every collection; raises, or dies, when one is damaged."""
    import chromadb
    import numpy as np
    from chromadb.config import Settings

    client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
    for collection in client.list_collections():
        if not collection.count():
            continue
        sample = collection.get(limit=1, include=["embeddings"])["embeddings"]
        assert sample is not None
        collection.query(
            query_embeddings=np.asarray(sample[:1], np.float32),
            n_results=min(10, collection.count()),
            include=["distances"],
        )


if __name__ == "__main__":
    examine(Path(sys.argv[1]))
