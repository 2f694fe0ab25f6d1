"""BERT encoders as ONNX graphs, weights in int8.

A sentence encoder: tokens → layers → mean of the tokens → unit vector. Outputs: `embedding`, one unit vector a text,
and `tokens`, the last layer, from which sentences are pooled. A cross-encoder: question and passage in one text →
layers → `answers`, the log-odds that the passage answers, read off the first token.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from knowledge.embed import _protobuf as pb
from knowledge.embed._weights import Floats, quantise, read_safetensors

_MICROSOFT = "com.microsoft"  # onnxruntime's own operators: fused attention, dynamic int8 product
_OPSET = 18

Outputs = Mapping[str, tuple[str, list[int | str]]]
"""What callers ask for: the name inside the graph and the shape."""


def build_sentence_encoder(model_dir: Path) -> bytes:
    """The model of a sentence-transformers BERT folder (`config.json`, `model.safetensors`) as an ONNX file."""
    return _Encoder(_config(model_dir), read_safetensors(model_dir / "model.safetensors")).of_sentences()


def build_cross_encoder(model_dir: Path, weights: Mapping[str, Floats]) -> bytes:
    """The same layers with these weights, and the head `answers` in place of the mean; for texts one by one."""
    return _Encoder(_config(model_dir), weights).of_pairs()


def _config(model_dir: Path) -> dict[str, int | float | str]:
    return json.loads((model_dir / "config.json").read_text())


class _Graph:
    """Collects nodes and constants and hands out names."""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self.constants: list[bytes] = []
        self._count = 0

    def constant(self, array: NDArray[np.generic]) -> str:
        name = self._name("c")
        self.constants.append(pb.tensor(name, array))
        return name

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: pb.Attribute) -> str:
        return self.ops(kind, *inputs, outputs=1, domain=domain, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, domain: str = "", **attributes: pb.Attribute) -> list[str]:
        names = [self._name("t") for _ in range(outputs)]
        self.nodes.append(pb.node(kind, inputs, names, domain, attributes))
        return names

    def finish(self, name: str, given: Sequence[str], outputs: Outputs) -> bytes:
        """The file; `given` are the inputs, `outputs` what callers ask for, each with the inner name and the shape."""
        self.nodes += [pb.node("Identity", [inner], [outer], "", {}) for outer, (inner, _) in outputs.items()]
        inputs = [pb.value_info(each, pb.INT64, ["batch", "length"]) for each in given]
        graph = b"".join(
            [
                *(pb.message(1, node) for node in self.nodes),
                pb.message(2, name),
                *(pb.message(5, constant) for constant in self.constants),
                *(pb.message(11, value) for value in inputs),
                *(pb.message(12, pb.value_info(outer, pb.FLOAT, shape)) for outer, (_, shape) in outputs.items()),
            ]
        )
        opsets = pb.message(8, pb.message(1, "") + pb.varint(2, _OPSET))
        opsets += pb.message(8, pb.message(1, _MICROSOFT) + pb.varint(2, 1))
        return pb.varint(1, 8) + pb.message(2, "signalbox") + pb.message(7, graph) + opsets

    def _name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"


class _Encoder:
    def __init__(self, config: Mapping[str, int | float | str], weights: Mapping[str, Floats]) -> None:
        self._width = int(config["hidden_size"])
        self._heads = int(config["num_attention_heads"])
        self._layers = int(config["num_hidden_layers"])
        self._epsilon = float(config["layer_norm_eps"])
        self._weights = weights
        self._graph = _Graph()

    def of_sentences(self) -> bytes:
        """Texts of different lengths, padded."""
        hidden, mask = self._embeddings(), self._graph.op("Cast", "attention_mask", to=pb.INT32)
        for index in range(self._layers):
            hidden = self._layer(hidden, index, "", mask)
        return self._graph.finish("sentence-encoder", ["input_ids", "attention_mask"], self._mean_of_tokens(hidden))

    def of_pairs(self) -> bytes:
        """One text at a time, so attention needs no mask; of the last layer only the first token is needed."""
        hidden = self._embeddings()
        for index in range(self._layers):
            hidden = self._layer(hidden, index, first_only=index == self._layers - 1)
        return self._graph.finish("cross-encoder", ["input_ids"], self._log_odds(hidden))

    def _mean_of_tokens(self, hidden: str) -> Outputs:
        """A unit vector a text, and the tokens."""
        graph = self._graph
        one, two = (graph.constant(np.array([n], np.int64)) for n in (1, 2))
        mask = graph.op("Unsqueeze", graph.op("Cast", "attention_mask", to=pb.FLOAT), two)
        total = graph.op("ReduceSum", graph.op("Mul", hidden, mask), one, keepdims=0)
        mean = graph.op("Div", total, graph.op("ReduceSum", mask, one, keepdims=0))
        length = graph.op("ReduceL2", mean, one, keepdims=1)
        unit = graph.op("Div", mean, graph.op("Max", length, graph.constant(np.array(1e-12, np.float32))))
        return {"embedding": (unit, ["batch", self._width]), "tokens": (hidden, ["batch", "length", self._width])}

    def _log_odds(self, hidden: str) -> Outputs:
        """One number a text."""
        graph = self._graph
        first = graph.op("Gather", hidden, graph.constant(np.array(0, np.int64)), axis=1)
        weight, bias = (graph.constant(self._weights[f"answers.{part}"]) for part in ("weight", "bias"))
        number = graph.op("Gemm", first, weight, bias, transB=1)
        return {"answers": (graph.op("Squeeze", number, graph.constant(np.array([1], np.int64))), ["batch"])}

    def _embeddings(self) -> str:
        graph, weights = self._graph, self._weights
        zero, one, two = (graph.constant(np.array([n], np.int64)) for n in (0, 1, 2))
        length = graph.op("Slice", graph.op("Shape", "input_ids"), one, two)
        values, scale = quantise(weights["embeddings.word_embeddings.weight"], axis=1)
        words = graph.op("Cast", graph.op("Gather", graph.constant(values), "input_ids", axis=0), to=pb.FLOAT)
        words = graph.op("Mul", words, graph.op("Gather", graph.constant(scale), "input_ids", axis=0))
        # One segment only, so its vector is part of every position.
        positions = (
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        )
        places = graph.op("Slice", graph.constant(positions.astype(np.float32)), zero, length, zero)
        return self._norm(graph.op("Add", words, places), "embeddings.LayerNorm")

    def _layer(self, hidden: str, index: int, *masks: str, first_only: bool = False) -> str:
        graph, prefix = self._graph, f"encoder.layer.{index}."
        attention = prefix + "attention.self."
        names = [attention + part for part in ("query", "key", "value")]
        weights = np.concatenate([self._weights[name + ".weight"].T for name in names], axis=1)
        bias = np.concatenate([self._weights[name + ".bias"] for name in names])
        split = graph.ops("Split", self._product(hidden, weights, bias), outputs=3, axis=-1, num_outputs=3)
        if first_only:
            split[0], hidden = self._first(split[0]), self._first(hidden)
        mixed = graph.op("MultiHeadAttention", *split, *masks, domain=_MICROSOFT, num_heads=self._heads)
        projected = self._linear(mixed, prefix + "attention.output.dense")
        hidden = self._norm(graph.op("Add", projected, hidden), prefix + "attention.output.LayerNorm")
        wide = graph.op("Gelu", self._linear(hidden, prefix + "intermediate.dense"), domain=_MICROSOFT)
        narrow = self._linear(wide, prefix + "output.dense")
        return self._norm(graph.op("Add", narrow, hidden), prefix + "output.LayerNorm")

    def _first(self, hidden: str) -> str:
        zero, one = (self._graph.constant(np.array([n], np.int64)) for n in (0, 1))
        return self._graph.op("Slice", hidden, zero, one, one)

    def _linear(self, hidden: str, name: str) -> str:
        return self._product(hidden, self._weights[name + ".weight"].T, self._weights[name + ".bias"])

    def _product(self, hidden: str, weights: Floats, bias: Floats) -> str:
        graph = self._graph
        values, scale = quantise(weights, axis=0)
        zeros = graph.constant(np.zeros(weights.shape[1], np.int8))
        constants = graph.constant(values), graph.constant(scale[0]), zeros, graph.constant(bias.astype(np.float32))
        return graph.op("DynamicQuantizeMatMul", hidden, *constants, domain=_MICROSOFT)

    def _norm(self, hidden: str, name: str) -> str:
        graph = self._graph
        weight, bias = (graph.constant(self._weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return graph.op("LayerNormalization", hidden, weight, bias, axis=-1, epsilon=self._epsilon)
