"""Writes a model without weights: the shape of a real one, and a tokenizer with as many words.

Runs in vLLM's environment: `python bench/gpu/make_model.py SHAPE FOLDER`; served with `--load-format dummy`.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "inference/vllm"))
from tiny_model import build_tokenizer  # a script beside, not a package, in that environment

COMMON = {
    "attention_bias": False,
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "sliding_window": None,
    "use_sliding_window": False,
}


def main(name: str, folder: Path) -> None:
    """Config, tokenizer, generation config."""
    shape = json.loads(Path(__file__).with_name("shapes.json").read_text())[name]
    tokenizer = build_tokenizer(512, shape["context_tokens"])
    tokenizer.save_pretrained(folder)
    _fill_vocabulary(folder / "tokenizer.json", len(tokenizer), shape["vocabulary"])
    tokens = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    config = {
        **COMMON,
        **shape["config"],
        **tokens,
        "vocab_size": shape["vocabulary"],
        "max_position_embeddings": shape["context_tokens"],
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "generation_config.json").write_text(json.dumps(tokens))
    print(json.dumps({"folder": str(folder), "shape": name, "vocabulary": shape["vocabulary"]}))


def _fill_vocabulary(file: Path, known: int, wanted: int) -> None:
    # Random weights choose any id; each must be a word, or streams would have no text.
    content = json.loads(file.read_text())
    content["model"]["vocab"] |= {f"Ġw{number}": number for number in range(known, wanted)}
    file.write_text(json.dumps(content))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
