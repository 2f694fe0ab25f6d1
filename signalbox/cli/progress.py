"""One progress bar for everything that reads documents."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from signalbox.cli.console import err

if TYPE_CHECKING:
    from knowledge.ingest import IngestProgress


@contextmanager
def ingest_bar(title: str) -> Iterator[Callable[["IngestProgress"], None]]:
    """A bar on standard error while the block runs; off a terminal, one line every tenth of the way."""
    console = err()
    if not console.is_terminal:
        yield _lines(title)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None)

        def show(state: "IngestProgress") -> None:
            progress.update(task, total=state.total, completed=state.done)

        yield show


def _lines(title: str) -> Callable[["IngestProgress"], None]:
    console = err()
    said = -1

    def show(state: "IngestProgress") -> None:
        nonlocal said
        tenth = 10 * state.done // max(state.total, 1)
        if tenth > said:
            said = tenth
            console.print(f"{title}: {state.done} of {state.total}")

    return show
