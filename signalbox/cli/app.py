"""The commands; each imports what it needs when it runs, so that `--help` is instant."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from signalbox import __version__
from signalbox.cli.batch import batch_app
from signalbox.cli.console import err, out
from signalbox.cli.gateway import Json, Url, User, gateway_client, gateway_key, gateway_url
from signalbox.cli.inference import inference_app
from signalbox.cli.release import release_app
from signalbox.errors import SignalboxError

app = typer.Typer(
    name="signalbox",
    help="A self-hosted enterprise assistant: parallel agents, cited answers, governed actions.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
approvals_app = typer.Typer(help="Actions that wait for a person.", no_args_is_help=True)
config_app = typer.Typer(help="Settings.", no_args_is_help=True)
audit_app = typer.Typer(help="The record of every tool call and of every retrieval.", no_args_is_help=True)
index_app = typer.Typer(help="The index of the documents: check it, build it anew, go back.", no_args_is_help=True)
tools_app = typer.Typer(help="Which tools of which servers are admitted.", no_args_is_help=True)
app.add_typer(approvals_app, name="approvals")
app.add_typer(config_app, name="config")
app.add_typer(inference_app, name="inference")
app.add_typer(index_app, name="index")
app.add_typer(tools_app, name="tools")
app.add_typer(release_app, name="release")
app.add_typer(audit_app, name="audit")
app.add_typer(batch_app, name="batch")

Model = Annotated[str, typer.Option(help="signalbox, or direct: no agents, straight to the model.")]
Events = Annotated[bool, typer.Option("--events", help="Show the plan, the steps and the tool calls as they happen.")]


@app.command()
def up() -> None:
    """Serve everything on one machine; the first start loads the demo workspace."""
    from signalbox.cli.up import up as run

    run()


@app.command()
def ask(
    question: str,
    as_user: User = None,
    url: Url = None,
    conversation: Annotated[str | None, typer.Option(help="Continue this conversation.")] = None,
    model: Model = "signalbox",
    events: Events = False,
    as_json: Json = False,
) -> None:
    """Ask one question."""
    from signalbox.cli import ask as asking

    with gateway_client(as_user, url) as client:
        if as_json:
            out().print(asking.ask_json(client, question, conversation_id=conversation, model=model), markup=False)
            return
        asked = asking.ask(client, question, conversation_id=conversation, model=model, events=events)
        asking.show_record(asked.record)


@app.command()
def chat(as_user: User = None, url: Url = None, model: Model = "signalbox", events: Events = False) -> None:
    """Talk; the conversation goes on until Ctrl-D."""
    from signalbox.cli.ask import chat as run

    with gateway_client(as_user, url) as client:
        run(client, _name(as_user), model=model, events=events)


@app.command()
def ingest(
    folder: Path,
    access: Annotated[
        list[str] | None, typer.Option(help="Who may see it: everyone, group:NAME, user:NAME. Repeatable.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would happen, change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Take a folder of documents in; run it again to take in what changed."""
    from signalbox.cli.ingest import ingest as run

    run(folder, access=tuple(access or ("everyone",)), dry_run=dry_run, as_json=as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check the installation: what is wrong, and what to do about it."""
    from signalbox.cli.doctor import doctor as run

    raise typer.Exit(run(as_json=as_json))


@app.command("client-config")
def client_config(
    client: Annotated[str, typer.Option("--for", help="vscode, cursor or claude.")],
    as_user: User = None,
    url: Url = None,
) -> None:
    """Print what connects an IDE or a desktop client."""
    from signalbox.cli.client_config import WHERE
    from signalbox.cli.client_config import client_config as build
    from signalbox.errors import UserFault

    if client not in WHERE:
        raise UserFault(f"There is no client {client!r}.", hint=f"Known: {', '.join(WHERE)}.")
    base, secret = gateway_url(url), gateway_key(as_user)
    out().print(json.dumps(build(client, url=base, key=secret.get_secret_value()), indent=2), markup=False)  # type: ignore[arg-type]
    err().print(f"[dim]Put this into {WHERE[client]}.[/dim]")


@app.command()
def mcp(url: Url = None, as_user: User = None) -> None:
    """Speak MCP over standard input and output, for clients that only launch commands."""
    from mcp_servers.assistant.relay import RelayAssistant
    from mcp_servers.assistant.server import build_server

    build_server(RelayAssistant(gateway_url(url), gateway_key(as_user)), version=__version__).run("stdio")


@app.command("mcp-server")
def mcp_server(
    name: Annotated[str, typer.Argument(help="knowledge, operations or desk.")],
    http: Annotated[int | None, typer.Option(help="Serve streamable HTTP on this port instead of stdio.")] = None,
    host: str = "127.0.0.1",
) -> None:
    """Run one of the built-in tool servers by itself."""
    from signalbox.cli.servers import run_server

    run_server(name, port=http, host=host)


@approvals_app.command("list")
def approvals_list(as_user: User = None, url: Url = None, as_json: Json = False) -> None:
    """What waits for a decision, and what was decided lately."""
    from signalbox.cli.approvals import show

    with gateway_client(as_user, url) as client:
        show(client, as_json=as_json)


@approvals_app.command("approve")
def approvals_approve(approval_id: str, as_user: User = None, url: Url = None, reason: str = "") -> None:
    """Approve an action; it is carried out at once."""
    from signalbox.cli.approvals import decide

    with gateway_client(as_user, url) as client:
        decide(client, approval_id, decision="approve", reason=reason)


@approvals_app.command("deny")
def approvals_deny(approval_id: str, as_user: User = None, url: Url = None, reason: str = "") -> None:
    """Decline an action; nothing happens."""
    from signalbox.cli.approvals import decide

    with gateway_client(as_user, url) as client:
        decide(client, approval_id, decision="deny", reason=reason)


@config_app.command("show")
def config_show(as_json: Json = False) -> None:
    """Print every setting as it is in force, secrets masked."""
    from signalbox.cli.config import show

    show(as_json=as_json)


@index_app.command("check")
def index_check(as_json: Json = False) -> None:
    """Compare the indexes with the record, and mend what differs."""
    from signalbox.cli.index import maintain

    maintain("check", as_json=as_json)


@index_app.command("rebuild")
def index_rebuild(as_json: Json = False) -> None:
    """Build the index of vectors anew beside the one that serves, and switch to it; the old one is kept."""
    from signalbox.cli.index import maintain

    maintain("rebuild", as_json=as_json)


@index_app.command("roll-back")
def index_roll_back(as_json: Json = False) -> None:
    """Serve from the index of vectors before the last switch; done twice, it is as it was."""
    from signalbox.cli.index import maintain

    maintain("roll_back", as_json=as_json)


@tools_app.command("review")
def tools_review(as_json: Json = False) -> None:
    """List the tools of the servers that you added (mcp.json, openapi), and which are admitted."""
    from signalbox.cli.tools import review

    review(as_json=as_json)


@tools_app.command("approve")
def tools_approve(
    names: Annotated[list[str], typer.Argument(help="server__tool, or server__* for all of it.")],
) -> None:
    """Admit tools as they are now; a change of name, text or schema withdraws this."""
    from signalbox.cli.tools import approve

    approve(names)


@tools_app.command("revoke")
def tools_revoke(names: Annotated[list[str], typer.Argument(help="server__tool, as it was approved.")]) -> None:
    """Withdraw an approval: the tool is not offered any more."""
    from signalbox.cli.tools import revoke

    revoke(names)


@tools_app.command("check")
def tools_check(
    server: Annotated[str, typer.Argument(help="Its name in mcp.json, openapi or a2a.agents.")], as_json: Json = False
) -> None:
    """Exercise a server before you admit it: do its schemas and annotations tell the truth?"""
    from signalbox.cli.tools import check

    raise typer.Exit(check(server, as_json=as_json))


@audit_app.command("verify")
def audit_verify() -> None:
    """Prove that no record of a tool call or a retrieval was altered, removed or slipped in."""
    from signalbox.cli.audit import verify

    raise typer.Exit(verify())


@audit_app.command("show")
def audit_show(run_id: str, as_json: Json = False) -> None:
    """Every tool call of one run, with who decided what and why."""
    from signalbox.cli.audit import show

    show(run_id, as_json=as_json)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        out().print(__version__)
        raise typer.Exit


def _name(user: str | None) -> str:
    return "the holder of the key" if user and user.startswith("sk-sb-") else user or "the first user"


def main() -> None:
    """Run a command; a fault of ours or the user's is one line on standard error, never a traceback."""
    try:
        app()
    except SignalboxError as error:
        err().print(f"[red]{error.message}[/red] {error.hint}".strip(), markup=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
