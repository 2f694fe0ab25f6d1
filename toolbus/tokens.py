"""The tokens that one server of ours is shown: one for each chain, used again while it lives long enough for a call."""

import time
from collections import OrderedDict
from collections.abc import Callable

from signalbox.identity import Chain, TokenMint

_REMEMBERED = 512


class Tokens:
    """Tokens for one audience. Minting one costs as much as all filters of a call together."""

    def __init__(
        self, mint: TokenMint, audience: str, *, ttl_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._mint = mint
        self._audience = audience
        self._ttl_s = ttl_s
        self._clock = clock
        self._known: OrderedDict[Chain, tuple[str, float]] = OrderedDict()

    def of(self, chain: Chain, *, at_least_s: float) -> str:
        """A token of `chain` that is valid for `at_least_s` seconds yet."""
        now = self._clock()
        token, ends = self._known.get(chain, ("", 0.0))
        if ends - now < at_least_s:
            ttl_s = max(self._ttl_s, at_least_s)
            # A token counts whole seconds: it may end one earlier than it was asked to.
            token, ends = self._mint.mint(chain, self._audience, ttl_s=ttl_s + 1), now + ttl_s
            self._known[chain] = token, ends
        self._known.move_to_end(chain)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return token
