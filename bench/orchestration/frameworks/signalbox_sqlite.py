"""Signalbox with everything on and its conversations in SQLite: two commits for each turn."""

from functools import partial

from bench.orchestration.frameworks import signalbox

PACKAGES = signalbox.PACKAGES
open_turn = partial(signalbox.open_turn, stored=True)
