"""The judge's own weights: low-rank changes of the sentence encoder's upper layers, and a head.

W' = W + B·A for each product, a new bias, new norms (LoRA: Hu et al. 2021, arXiv 2106.09685). `python -m
evals.judge.train` makes the file; docs/decisions/0012 says from what.
"""

from collections.abc import Mapping

import numpy as np

from knowledge.embed._weights import Floats


def merged(base: Mapping[str, Floats], adapter: Mapping[str, Floats]) -> dict[str, Floats]:
    """The encoder's weights as the judge has them. `adapter` keys: NAME.A, NAME.B, or a whole tensor's name."""
    weights = dict(base)
    for key, value in adapter.items():
        name, _, part = key.rpartition(".")
        if part == "A":
            change: Floats = adapter[f"{name}.B"].astype(np.float32) @ value.astype(np.float32)
            weights[f"{name}.weight"] = (base[f"{name}.weight"] + change).astype(np.float32)
        elif part != "B":
            weights[key] = value.astype(np.float32)
    return weights
