"""Train the judge of passages: about an hour on two cores. Needs `torch`, beside what the project installs.

    python -m evals.judge.train HANDBOOKS --squad FILE... --work DIR --held-out NAME --out ADAPTER [--init CHECKPOINT]

HANDBOOKS holds a folder of pages for each name in questions/sources.json. Prints how well the judge tells passages of
the handbook that is held out apart (AUROC), and saves the weights that knowledge/judge ships, with a checkpoint beside.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn import functional

from evals.embedded.calibrate import auroc
from evals.judge.data import QUESTIONS, Pair, handbook_pairs, squad_pairs
from evals.judge.names import with_name
from evals.judge.network import JudgeNetwork
from knowledge.embed.model import package_folder
from knowledge.judge.cross_encoder import HEADING_TOKENS, MAX_TOKENS, QUESTION_TOKENS

_EVIDENCE = 0.7
_WARM_UP, _LAST = 0.06, 0.03


@dataclass(frozen=True)
class Example:
    """A pair as tokens; `inside` is 1 where the answer stands, 0 elsewhere in the body, -1 outside it."""

    ids: list[int]
    inside: list[int]
    pair: Pair


class Examples:
    """Turns pairs into tokens as `knowledge.judge` does."""

    def __init__(self) -> None:
        self._tokenizer = Tokenizer.from_file(str(package_folder() / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._start, self._stop = (self._tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]"))

    def of(self, pair: Pair) -> Example:
        """One example."""
        named = "".join(f"{part}. " for part in (pair.title, pair.heading) if part)
        asked, named_ids = self._ids(pair.question)[:QUESTION_TOKENS], self._ids(named)[:HEADING_TOKENS]
        ahead = [self._start, *asked, self._stop, *named_ids]
        body = self._tokenizer.encode(pair.body, add_special_tokens=False)
        room = MAX_TOKENS - len(ahead) - 1
        inside = [int(pair.span is not None and e > pair.span[0] and s < pair.span[1]) for s, e in body.offsets]
        ids = [*ahead, *body.ids[:room], self._stop]
        return Example(ids, [*([-1] * len(ahead)), *inside[:room], -1], pair)

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids


def batches(examples: Sequence[Example], size: int, rng: random.Random) -> Iterator[list[Example]]:
    """For ever, of similar lengths."""
    while True:
        order = rng.sample(examples, len(examples))
        for start in range(0, len(order), size * 20):
            part = sorted(order[start : start + size * 20], key=lambda each: len(each.ids))
            cut = [part[at : at + size] for at in range(0, len(part), size)]
            yield from rng.sample(cut, len(cut))


def tensors(batch: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, lengths, and where the answers stand; padded."""
    width = max(len(each.ids) for each in batch)
    ids = torch.tensor([each.ids + [0] * (width - len(each.ids)) for each in batch])
    inside = torch.tensor([each.inside + [-1] * (width - len(each.inside)) for each in batch])
    return ids, torch.tensor([len(each.ids) for each in batch]), inside


def loss_of(network: JudgeNetwork, batch: Sequence[Example]) -> torch.Tensor:
    """Does it answer, and, where that is known, where?"""
    ids, lengths, inside = tensors(batch)
    answers, evidence = network(ids, lengths)
    wanted = torch.tensor([float(each.pair.answers) for each in batch])
    weights = torch.tensor([each.pair.weight for each in batch])
    loss = (functional.binary_cross_entropy_with_logits(answers, wanted, reduction="none") * weights).mean()
    known = (inside >= 0) & torch.tensor([each.pair.span is not None for each in batch])[:, None]
    if known.any():
        loss = loss + _EVIDENCE * functional.binary_cross_entropy_with_logits(evidence[known], inside[known].float())
    return loss


@torch.no_grad()
def report(network: JudgeNetwork, examples: Sequence[Example]) -> None:
    """How well answering passages stand above each kind of the others."""
    network.eval()
    scores: dict[str, list[float]] = {}
    for start in range(0, len(examples), 32):
        part = examples[start : start + 32]
        ids, lengths, _ = tensors(part)
        for each, score in zip(part, network(ids, lengths)[0].tolist(), strict=True):
            scores.setdefault("" if each.pair.answers else each.pair.kind, []).append(score)
    present = np.array(scores.pop("", []))
    if len(present):
        print("  " + ", ".join(f"{kind} {auroc(present, np.array(s)):.3f}" for kind, s in scores.items()), flush=True)
    network.train()


def train(
    network: JudgeNetwork, examples: Sequence[Example], held: Sequence[Example], given: argparse.Namespace
) -> None:
    """Until the epochs or the minutes are over; the rate falls with whichever is nearer."""
    rng = random.Random(given.seed)
    changed = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(changed, lr=given.rate, weight_decay=0.01)
    steps = int(given.epochs * len(examples) / given.batch)
    started = time.monotonic()
    network.train()
    for step, batch in enumerate(batches(examples, given.batch, rng)):
        done = max(step / steps, (time.monotonic() - started) / (60 * given.minutes))
        if done >= 1:
            break
        optimizer.param_groups[0]["lr"] = given.rate * min(1, (step + 1) / (_WARM_UP * steps)) * max(_LAST, 1 - done)
        optimizer.zero_grad()
        loss = loss_of(network, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(changed, 1.0)
        optimizer.step()
        if step % 200 == 199:
            print(f"{step + 1} of {steps}: loss {loss.item():.3f}", flush=True)
            report(network, held)
            torch.save(network.state_dict(), given.out.with_suffix(".pt"))
    report(network, held)


async def main(given: argparse.Namespace) -> None:
    """Pairs, training, weights."""
    rng = random.Random(given.seed)
    torch.manual_seed(given.seed)
    by_name: dict[str, list[Pair]] = {}
    for name in json.loads((QUESTIONS / "sources.json").read_text()):
        by_name[name] = await handbook_pairs(name, given.handbooks / name, given.work / name, rng)
        print(f"{name}: {len(by_name[name])} pairs", flush=True)
    without = (
        frozenset(text.strip() for text in json.loads(given.without.read_text())) if given.without else frozenset()
    )
    squad = [pair for path in given.squad for pair in squad_pairs(path, rng, without)]
    kept = rng.sample(squad, min(given.most_squad, len(squad)))
    examples = Examples()
    pairs = [*kept, *(pair for name, every in by_name.items() if name != given.held_out for pair in every)]
    pairs += [named for pair in pairs for named in with_name(pair, rng)]
    held = by_name.get(given.held_out, [])
    network = JudgeNetwork(package_folder() / "model.safetensors")
    if given.init:
        network.load_state_dict(torch.load(given.init))
    train(network, [examples.of(each) for each in pairs], [examples.of(each) for each in held[:600]], given)
    torch.save(network.state_dict(), given.out.with_suffix(".pt"))
    network.save(given.out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("handbooks", type=Path)
    parser.add_argument("--squad", type=Path, nargs="*", default=[])
    parser.add_argument("--without", type=Path, help="a JSON list of paragraphs that evaluation sets hold")
    parser.add_argument("--most-squad", type=int, default=6000)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--held-out", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(main(parser.parse_args()))
