"""`signalbox batch`: files of requests, worked through while the system is idle. docs/batch.md says how."""

from pathlib import Path
from typing import Annotated

import typer

from signalbox.cli.gateway import Json, Url, User, gateway_client

batch_app = typer.Typer(help="Files of requests, worked through while nobody else asks.", no_args_is_help=True)

Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead of standard output.")]


@batch_app.command("run")
def run(
    file: Annotated[Path, typer.Argument(help="JSON lines as OpenAI's batch API takes them.")],
    output: Output = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Hand it in and come back later.")] = False,
    as_user: User = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Hand in a file, wait until it is done, print the results; 1 when a line failed. Ctrl-C leaves it running."""
    from signalbox.cli import batch_run

    with gateway_client(as_user, url) as client:
        made = batch_run.hand_in(client, file)
        if no_wait:
            batch_run.show(made, as_json=as_json)
            return
        done = batch_run.follow(client, made["id"])
        if output is not None or not as_json:
            batch_run.write_results(client, done, output)
        batch_run.show(done, as_json=as_json)
    raise typer.Exit(batch_run.exit_code(done))


@batch_app.command("status")
def status(batch_id: str, as_user: User = None, url: Url = None, as_json: Json = False) -> None:
    """How far a batch is."""
    from signalbox.cli import batch_run

    with gateway_client(as_user, url) as client:
        batch_run.show(client.get(f"/v1/batches/{batch_id}"), as_json=as_json)


@batch_app.command("list")
def list_batches(as_user: User = None, url: Url = None, as_json: Json = False) -> None:
    """Your batches, latest first."""
    from signalbox.cli import batch_run

    with gateway_client(as_user, url) as client:
        batch_run.show_all(client.get("/v1/batches?limit=100")["data"], as_json=as_json)


@batch_app.command("cancel")
def cancel(batch_id: str, as_user: User = None, url: Url = None, as_json: Json = False) -> None:
    """Stop a batch; what is done is kept."""
    from signalbox.cli import batch_run

    with gateway_client(as_user, url) as client:
        batch_run.show(client.post(f"/v1/batches/{batch_id}/cancel", {}), as_json=as_json)


@batch_app.command("results")
def results(
    batch_id: str,
    errors: Annotated[
        bool, typer.Option("--errors", help="The lines that failed, instead of those that did not.")
    ] = False,
    output: Output = None,
    as_user: User = None,
    url: Url = None,
) -> None:
    """Print what there is by now, one JSON object a line, in the order of the input."""
    from signalbox.cli import batch_run

    with gateway_client(as_user, url) as client:
        batch_run.write_results(client, client.get(f"/v1/batches/{batch_id}"), output, errors=errors)
