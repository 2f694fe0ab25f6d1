"""Signalbox with everything on, but for tool calls: exactly the model calls of the others."""

from functools import partial

from bench.orchestration.frameworks import signalbox

PACKAGES = signalbox.PACKAGES
open_turn = partial(signalbox.open_turn, tools=False)
