"""How long an answer may get for the money that there is."""

from typing import Any

import orjson

from inference.settings import ModelSettings
from signalbox.errors import TooLarge

_BYTES_PER_TOKEN = 4
_LIMITS = ("max_completion_tokens", "max_tokens")


def within_money(body: dict[str, Any], model: ModelSettings, money: float) -> dict[str, Any]:
    """The body with the limit of tokens that the money buys, where it has none or a higher one.

    What the prompt will cost is estimated by its bytes. Raises `TooLarge` where the prompt alone would cost it all.
    """
    price = model.price
    prompt_tokens = len(orjson.dumps(body)) // _BYTES_PER_TOKEN
    left = money * 1_000_000 - prompt_tokens * price.input_per_million
    room = left / price.output_per_million if price.output_per_million else model.context_tokens
    if left <= 0 or room < 1:
        told = "The request would cost more than one call may."
        raise TooLarge(told, hint="Send less, or have agents.money raised.", param="messages")
    if room >= model.context_tokens:
        return body
    given = {name: body[name] for name in _LIMITS if isinstance(body.get(name), int)} or {"max_tokens": int(room)}
    return {**body, **{name: min(limit, int(room)) for name, limit in given.items()}}
