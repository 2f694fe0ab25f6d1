"""The judge as PyTorch trains it: MiniLM's layers as they are, low-rank changes of the upper ones, and two heads.

The second head, where in the passage the answer stands, is there for training only: it teaches the layers to look.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

WIDTH, HEADS, LAYERS = 384, 12, 6
FROZEN = 2
"""Lower layers that stay as they are: they know words, not yet questions."""
_ATTENTION = ("attention.self.query", "attention.self.key", "attention.self.value")


class Changed(nn.Module):
    """Products side by side, each with a low-rank change and a new bias (LoRA)."""

    def __init__(self, base: dict[str, Tensor], names: Sequence[str], rank: int) -> None:
        super().__init__()
        self.names, self.rank = names, rank
        self.register_buffer("weight", torch.cat([base[f"{name}.weight"] for name in names]), persistent=False)
        self.bias = nn.Parameter(torch.cat([base[f"{name}.bias"] for name in names]))
        width = self.weight.shape[1]
        self.down = nn.Parameter(torch.randn(rank * len(names), width) / math.sqrt(width))
        each = self.weight.shape[0] // len(names)
        self.up = nn.ParameterList([nn.Parameter(torch.zeros(each, rank)) for _ in names])

    def forward(self, hidden: Tensor) -> Tensor:
        """All products of the input, one after the other in the last dimension."""
        low = functional.linear(hidden, self.down).split(self.rank, dim=-1)
        change = torch.cat([functional.linear(part, up) for part, up in zip(low, self.up, strict=True)], -1)
        return functional.linear(hidden, self.weight, self.bias) + change

    def export(self) -> dict[str, Tensor]:
        """As `knowledge.judge` reads it."""
        tensors: dict[str, Tensor] = {}
        biases = self.bias.chunk(len(self.names))
        for name, down, up, bias in zip(self.names, self.down.split(self.rank), self.up, biases, strict=True):
            tensors |= {f"{name}.A": down, f"{name}.B": up, f"{name}.bias": bias}
        return tensors


class Layer(nn.Module):
    """One layer of the encoder."""

    def __init__(self, base: dict[str, Tensor], prefix: str, rank: int) -> None:
        super().__init__()
        self.prefix = prefix
        self.mixed = Changed(base, [prefix + name for name in _ATTENTION], rank)
        self.joined = Changed(base, [f"{prefix}attention.output.dense"], rank)
        self.wide = Changed(base, [f"{prefix}intermediate.dense"], rank)
        self.narrow = Changed(base, [f"{prefix}output.dense"], rank)
        self.norms = nn.ModuleDict({name: _norm(base, prefix + place) for name, place in _NORMS.items()})

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """The next hidden state."""
        batch, length, _ = hidden.shape
        parts = self.mixed(hidden).chunk(3, -1)
        query, key, value = (part.view(batch, length, HEADS, -1).transpose(1, 2) for part in parts)
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        seen = seen.transpose(1, 2).reshape(batch, length, WIDTH)
        hidden = self.norms["attention"](hidden + self.joined(seen))
        return self.norms["output"](hidden + self.narrow(functional.gelu(self.wide(hidden))))

    def export(self) -> dict[str, Tensor]:
        """As `knowledge.judge` reads it."""
        tensors: dict[str, Tensor] = {}
        for part in (self.mixed, self.joined, self.wide, self.narrow):
            tensors |= part.export()
        for name, place in _NORMS.items():
            norm = self.norms[name]
            tensors |= {f"{self.prefix}{place}.weight": norm.weight, f"{self.prefix}{place}.bias": norm.bias}
        return tensors


class JudgeNetwork(nn.Module):
    """Token ids and lengths to the log-odds that the passage answers, and those of each token."""

    def __init__(self, model: Path, rank: int = 32) -> None:
        super().__init__()
        base = {name: tensor.float() for name, tensor in load_file(model).items()}
        self.words = nn.Embedding.from_pretrained(base["embeddings.word_embeddings.weight"], freeze=True)
        self.places = nn.Embedding.from_pretrained(
            base["embeddings.position_embeddings.weight"] + base["embeddings.token_type_embeddings.weight"][0],
            freeze=True,
        )
        self.first = _norm(base, "embeddings.LayerNorm").requires_grad_(requires_grad=False)
        self.layers = nn.ModuleList(
            [Layer(base, f"encoder.layer.{at}.", 1 if at < FROZEN else rank) for at in range(LAYERS)]
        )
        for layer in self.layers[:FROZEN]:
            layer.requires_grad_(requires_grad=False)
        self.answers = nn.Linear(WIDTH, 1)
        self.evidence = nn.Linear(WIDTH, 1)
        self.drop = nn.Dropout(0.1)

    def forward(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch,) and (batch, length)."""
        places = torch.arange(ids.shape[1])
        mask = (places[None] < lengths[:, None])[:, None, None, :]
        hidden = self.first(self.words(ids) + self.places(places))
        with torch.no_grad():
            for layer in self.layers[:FROZEN]:
                hidden = layer(hidden, mask)
        for layer in self.layers[FROZEN:]:
            hidden = layer(hidden, mask)
        return self.answers(self.drop(hidden[:, 0]))[:, 0], self.evidence(hidden)[..., 0]

    def save(self, path: Path) -> None:
        """The file that `knowledge.judge` ships, in half precision."""
        tensors = {"answers.weight": self.answers.weight, "answers.bias": self.answers.bias}
        for layer in self.layers[FROZEN:]:
            tensors |= layer.export()
        halves = {name: tensor.detach().numpy().astype(np.float16) for name, tensor in tensors.items()}
        save_file({name: np.ascontiguousarray(half) for name, half in halves.items()}, path)


_NORMS = {"attention": "attention.output.LayerNorm", "output": "output.LayerNorm"}


def _norm(base: dict[str, Tensor], name: str) -> nn.LayerNorm:
    norm = nn.LayerNorm(WIDTH, eps=1e-12)
    norm.load_state_dict({part: base[f"{name}.{part}"] for part in ("weight", "bias")})
    return norm
