"""The command line: data on standard output, progress and messages on standard error.

Exit codes: 0 done · 1 it failed, and the message says why · 2 wrong usage · 130 stopped by Ctrl-C.
"""

from signalbox.cli.app import main

__all__ = ["main"]
