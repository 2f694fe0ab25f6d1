"""What the batch commands do over the gateway's API."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from signalbox.cli.client import GatewayClient
from signalbox.cli.console import err, out
from signalbox.errors import UserFault

_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_LOOK_EVERY_S = 0.5
_DEFAULT_URL = "/v1/chat/completions"

Batch = dict[str, Any]


def hand_in(client: GatewayClient, file: Path) -> Batch:
    """Upload a file and begin its batch."""
    endpoint = _endpoint_of(file)
    uploaded = client.upload("/v1/files", file, {"purpose": "batch"})
    body = {"input_file_id": uploaded["id"], "endpoint": endpoint, "completion_window": "24h"}
    return client.post("/v1/batches", body)


def follow(client: GatewayClient, batch_id: str) -> Batch:
    """Wait until a batch has ended, with a bar; Ctrl-C ends the waiting, not the batch."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=err(), transient=True) as bar:
            task = bar.add_task(batch_id, total=None)
            while (found := client.get(f"/v1/batches/{batch_id}"))["status"] not in _ENDED:
                counts = found["request_counts"]
                done = counts["completed"] + counts["failed"]
                bar.update(task, total=counts["total"] or None, completed=done, description=found["status"])
                time.sleep(_LOOK_EVERY_S)
    except KeyboardInterrupt:
        err().print(f"It goes on: signalbox batch status {batch_id}")
        raise
    return found


def write_results(client: GatewayClient, batch: Batch, output: Path | None, *, errors: bool = False) -> None:
    """The lines of one result file, which a batch without such lines does not have."""
    file_id = batch["error_file_id" if errors else "output_file_id"]
    with _sink(output) as sink:
        if file_id is not None:
            client.download(f"/v1/files/{file_id}/content", sink)


def show(batch: Batch, *, as_json: bool) -> None:
    """One batch: on standard error, so that results can be piped; as JSON on standard output."""
    if as_json:
        out().print(json.dumps(batch, indent=2), markup=False)
        return
    counts = batch["request_counts"]
    console = err()
    console.print(
        f"{batch['id']} [bold]{batch['status']}[/bold]: {counts['completed']} of {counts['total']} done, "
        f"{counts['failed']} failed"
    )
    for fault in (batch["errors"] or {"data": []})["data"]:
        where = f"line {fault['line']}: " if fault["line"] else ""
        console.print(f"  [red]{escape(where + fault['message'])}[/red]")
    if batch["error_file_id"]:
        console.print(f"  [dim]What failed: signalbox batch results {batch['id']} --errors[/dim]")


def show_all(batches: list[Batch], *, as_json: bool) -> None:
    """A table of batches."""
    if as_json:
        out().print(json.dumps(batches, indent=2), markup=False)
        return
    table = Table("batch", "state", "done", "failed", "of", box=None)
    for batch in batches:
        counts = batch["request_counts"]
        row = (counts["completed"], counts["failed"], counts["total"])
        table.add_row(batch["id"], batch["status"], *map(str, row))
    out().print(table)


def exit_code(batch: Batch) -> int:
    """0 when every line was answered."""
    return 0 if batch["status"] == "completed" and not batch["request_counts"]["failed"] else 1


def _endpoint_of(file: Path) -> str:
    """The address that the first line names; the server checks the others against it."""
    try:
        with file.open("rb") as lines:
            first = json.loads(next(line for line in lines if line.strip()))
    except OSError as error:
        raise UserFault(f"{str(file)!r} cannot be read: {error.strerror}.") from error
    except StopIteration:
        raise UserFault(f"{str(file)!r} holds no requests.") from None
    except ValueError as error:
        raise UserFault(
            f"The first line of {str(file)!r} is not valid JSON.", hint="docs/batch.md shows one."
        ) from error
    return first.get("url", _DEFAULT_URL) if isinstance(first, dict) else _DEFAULT_URL


@contextlib.contextmanager
def _sink(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with output.open("wb") as sink:
            yield sink
    except OSError as error:
        raise UserFault(f"{str(output)!r} cannot be written: {error.strerror}.") from error
