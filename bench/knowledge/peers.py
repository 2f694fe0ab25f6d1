"""The others' side of `bench.knowledge.compare`; runs in an environment of theirs and knows nothing of ours.

As their first pages show it: Chroma's `collection.add(documents=...)` and `query(query_texts=...)`, of whole files or
of pieces of 1,000 characters; LlamaIndex's `SimpleDirectoryReader`, `VectorStoreIndex.from_documents` with its default
splitter, and `as_retriever`. Only the embedder is not their default: all use the same MiniLM file.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

PIECES = 40
"""Asked for, so that five different files can be among them; LlamaIndex's own default is 2."""
_BATCH = 16


class MiniLM:
    """Unit vectors from the model file, two threads, as Signalbox runs it."""

    def __init__(self, onnx: str, tokenizer: str) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(tokenizer)
        self._tokenizer.enable_truncation(256)
        self._tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])

    def embed(self, texts: list[str]) -> np.ndarray:
        order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))
        vectors = np.empty((len(texts), 384), np.float32)
        for start in range(0, len(order), _BATCH):
            picked = order[start : start + _BATCH]
            encodings = [self._tokenizer.encode(texts[at]) for at in picked]
            width = max(len(encoding.ids) for encoding in encodings)
            ids = np.zeros((len(picked), width), np.int64)
            mask = np.zeros_like(ids)
            for row, encoding in enumerate(encodings):
                ids[row, : len(encoding.ids)], mask[row, : len(encoding.ids)] = encoding.ids, 1
            made: Any = self._session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})[0]
            vectors[picked] = made
        return vectors


def read_folder(folder: Path) -> list[tuple[str, str]]:
    """Every file as its text."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8", errors="replace")) for path in paths]


class Chroma:
    """The quick-start with an embedding function."""

    def __init__(self, model: MiniLM, folder: str, size: int | None) -> None:
        import chromadb
        from chromadb import EmbeddingFunction

        class Function(EmbeddingFunction):
            def __init__(self) -> None:
                pass

            def __call__(self, input: Any) -> Any:
                return list(model.embed(list(input)))

            @staticmethod
            def name() -> str:
                return "minilm-int8"

            def get_config(self) -> dict[str, Any]:
                return {}

            @staticmethod
            def build_from_config(config: dict[str, Any]) -> Any:
                raise NotImplementedError

        self._size = size
        client = chromadb.PersistentClient(folder)
        self._collection = client.create_collection("documents", embedding_function=Function())

    def take(self, job: dict[str, Any]) -> int:
        pairs = read_folder(Path(job["folder"])) if "folder" in job else list(_passages(job))
        pieces = [
            (name, text[start : start + (self._size or len(text))])
            for name, text in pairs
            for start in range(0, max(1, len(text)), self._size or max(1, len(text)))
        ]
        for start in range(0, len(pieces), 1_000):
            part = pieces[start : start + 1_000]
            self._collection.add(
                ids=[str(start + at) for at in range(len(part))],
                documents=[text for _, text in part],
                metadatas=[{"file": name} for name, _ in part],
            )
        return len(pieces)

    def ask(self, question: str) -> list[str]:
        found = self._collection.query(query_texts=[question], n_results=PIECES)
        return [str(entry["file"]) for entry in (found["metadatas"] or [[]])[0]]


class LlamaIndex:
    """Reader, splitter, index and retriever as they come."""

    def __init__(self, model: MiniLM) -> None:
        from llama_index.core.embeddings import BaseEmbedding

        class Embedding(BaseEmbedding):
            def _get_text_embedding(self, text: str) -> list[float]:
                return model.embed([text])[0].tolist()

            def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
                return model.embed(texts).tolist()

            def _get_query_embedding(self, query: str) -> list[float]:
                return self._get_text_embedding(query)

            async def _aget_query_embedding(self, query: str) -> list[float]:
                return self._get_text_embedding(query)

        self._embedding = Embedding(model_name="minilm-int8")

    def take(self, job: dict[str, Any]) -> int:
        from llama_index.core import Document, SimpleDirectoryReader, VectorStoreIndex

        if "folder" in job:
            documents = SimpleDirectoryReader(job["folder"], recursive=True).load_data()
            root = Path(job["folder"]).resolve()
            self._name = lambda node: Path(node.metadata["file_path"]).resolve().relative_to(root).as_posix()
        else:
            rows = json.loads(Path(job["passages"]).read_text())
            documents = [
                Document(
                    text=row["text"],
                    metadata={"title": row["title"], "heading": row["heading"], "id": row["id"]},
                    excluded_embed_metadata_keys=["id"],
                )
                for row in rows
            ]
            self._name = lambda node: node.metadata["id"]
        index = VectorStoreIndex.from_documents(documents, embed_model=self._embedding)
        self._retriever = index.as_retriever(similarity_top_k=PIECES)
        return len(index.index_struct.nodes_dict)

    def ask(self, question: str) -> list[str]:
        return [self._name(hit.node) for hit in self._retriever.retrieve(question)]


def _passages(job: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for row in json.loads(Path(job["passages"]).read_text()):
        yield row["id"], ". ".join(part for part in (row["title"], row["heading"], row["text"]) if part)


def main(job: dict[str, Any]) -> dict[str, Any]:
    """Take, ask, report."""
    model = MiniLM(job["onnx"], job["tokenizer"])
    model.embed(["warm up"])
    with tempfile.TemporaryDirectory(prefix="bench-peer-") as folder:
        if job["system"] == "llamaindex":
            system: Any = LlamaIndex(model)
        else:
            system = Chroma(model, folder, None if job["system"] == "chroma-files" else 1_000)
        wall, cpu = time.perf_counter(), time.process_time()
        pieces = system.take(job)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        system.ask("warm up")
        burnt = time.process_time()
        ranked = {key: list(dict.fromkeys(system.ask(text))) for key, text in job["questions"].items()}
        query = 1000 * (time.process_time() - burnt) / len(ranked)
    return {
        "ranked": ranked,
        "pieces": pieces,
        "ingest_s": wall,
        "ingest_cpu_s": cpu,
        "query_cpu_ms": query,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
