"""The two consoles: answers go to standard output, everything else to standard error."""

from rich.console import Console


def out() -> Console:
    """For data and answers."""
    return Console(soft_wrap=True, highlight=False)


def err() -> Console:
    """For progress, hints and errors."""
    return Console(stderr=True, soft_wrap=True, highlight=False)
