"""Makes a tiny chat model with random weights: config, weights, tokenizer, chat template with tools. No download.

Runs in vLLM's environment (it needs torch and transformers): `python inference/vllm/tiny_model.py DIR`. About
100,000 parameters, two seconds. The words are noise; the shapes are those of a real model, so guided decoding,
tool calls, streaming, usage and cancellation can be tested against a real vLLM.
"""

import argparse
import json
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# Not "special" for the tokenizer: they stay in the decoded text, where vLLM's parsers look for them.
_MARKERS = ["<tool_call>", "</tool_call>", "<think>", "</think>", "<tool_response>", "</tool_response>"]
_CORPUS = [
    'hello world this is a plan {"steps": [{"id": "s1", "specialist": "knowledge", "task": "look", "needs": []}]}',
    '<tool_call>\n{"name": "lookup", "arguments": {"query": "x"}}\n</tool_call>',
    "The quick brown fox jumps over the lazy dog. Answer the user with sources and a short summary.",
]


def build_tokenizer(vocabulary: int, context_tokens: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE over a few sentences, with the Qwen (hermes) chat template."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_CORPUS * 10, trainer)
    bpe.add_tokens([AddedToken(marker, normalized=False, special=False) for marker in _MARKERS])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=context_tokens
    )
    tokenizer.chat_template = (Path(__file__).parent / "chat_template.jinja").read_text()
    return tokenizer


def build_model(tokenizer: PreTrainedTokenizerFast, context_tokens: int, seed: int) -> Qwen3ForCausalLM:
    """Two layers of a Qwen3; the vocabulary has exactly the tokenizer's ids, as random weights would pick padding."""
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=context_tokens,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    torch.manual_seed(seed)
    model = Qwen3ForCausalLM(config).to(torch.bfloat16)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    return model


def main() -> None:
    """Write the model to the folder given on the command line."""
    arguments = argparse.ArgumentParser(description="Make a tiny random model for tests.")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--vocabulary", type=int, default=512)
    arguments.add_argument("--context-tokens", type=int, default=65_536)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    tokenizer = build_tokenizer(given.vocabulary, given.context_tokens)
    model = build_model(tokenizer, given.context_tokens, given.seed)
    tokenizer.save_pretrained(given.folder)
    model.save_pretrained(given.folder)
    parameters = sum(weight.numel() for weight in model.parameters())
    print(json.dumps({"folder": str(given.folder), "vocabulary": len(tokenizer), "parameters": parameters}))


if __name__ == "__main__":
    main()
