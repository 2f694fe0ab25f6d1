"""`signalbox inference`: start a vLLM from a profile, see how the model servers are, measure them."""

from pathlib import Path
from typing import Annotated

import typer

inference_app = typer.Typer(help="Model servers.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@inference_app.command()
def serve(
    profile: Annotated[str, typer.Argument(help="A profile's name, for instance h200-main, or a YAML file.")],
    model: Annotated[str, typer.Option(help="The model's folder.")],
    port: int = 8000,
    host: str = "127.0.0.1",
    socket: Annotated[Path | None, typer.Option(help="Listen on this socket file instead of a port.")] = None,
    command: Annotated[
        Path | None, typer.Option(help="vLLM's command; default: `vllm` in the path, else .venv-vllm/bin/vllm.")
    ] = None,
    api_key_file: Annotated[Path | None, typer.Option(help="The key that callers must show.")] = None,
) -> None:
    """Start vLLM, wait until it answers, restart it when it dies; Ctrl-C ends its streams and stops it."""
    from signalbox.cli.inference_serve import Serving
    from signalbox.cli.inference_serve import serve as run

    run(Serving(profile, model, host=host, port=port, socket=socket, command=command, api_key_file=api_key_file))


@inference_app.command()
def status(as_json: Json = False) -> None:
    """Every backend of the settings: is it well, what does it serve, how busy is it. Exit code 1 when one is not."""
    from signalbox.cli.inference_status import status as run

    raise typer.Exit(run(as_json=as_json))


@inference_app.command()
def bench(
    requests: Annotated[int, typer.Option(min=1)] = 32,
    concurrency: Annotated[int, typer.Option(min=1)] = 8,
    prompt_words: Annotated[int, typer.Option(min=1)] = 400,
    shared_words: Annotated[int, typer.Option(min=0, help="The first words, the same in every prompt.")] = 300,
    output_tokens: Annotated[int, typer.Option(min=1)] = 128,
    as_json: Json = False,
) -> None:
    """Send a load to the model that serves `direct`, and print what came of it."""
    from inference.vllm.load import LoadShape
    from signalbox.cli.inference_bench import bench as run

    shape = LoadShape(requests, concurrency, max(prompt_words, shared_words + 1), shared_words, output_tokens)
    raise typer.Exit(run(shape, as_json=as_json))
