"""`signalbox ask` and `signalbox chat`: a question to the running gateway, the answer as it is released."""

import json
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape

from signalbox.cli.client import GatewayClient
from signalbox.cli.console import err, out

_PATH = "/v1/chat/completions"


@dataclass
class Asked:
    """One finished answer."""

    text: str = ""
    record: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] | None = None


def ask(client: GatewayClient, question: str, *, conversation_id: str | None, model: str, events: bool) -> Asked:
    """Stream one answer to the terminal, with the steps on standard error when asked for."""
    body = {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": question}],
        "signalbox": {"conversation_id": conversation_id, "events": events},
    }
    asked = Asked()
    screen, notes = out(), err()
    for chunk in client.stream(_PATH, body):
        extension = chunk.get("signalbox") or {}
        if event := extension.get("event"):
            _show_event(notes, event)
        elif extension:
            asked.record = extension
        if chunk.get("usage"):
            asked.usage = chunk["usage"]
        for choice in chunk.get("choices", []):
            if text := choice.get("delta", {}).get("content"):
                asked.text += text
                screen.print(escape(text), end="")
    screen.print()
    return asked


def ask_json(client: GatewayClient, question: str, *, conversation_id: str | None, model: str) -> str:
    """One answer as the JSON of the API."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "signalbox": {"conversation_id": conversation_id},
    }
    return json.dumps(client.post(_PATH, body), indent=2, ensure_ascii=False)


def show_record(record: dict[str, Any]) -> None:
    """What the answer rests on and what waits for a decision."""
    notes = err()
    cited = [source for source in record.get("sources", []) if source.get("cited")]
    for source in cited:
        where = f"{source['title']} · {source['document']}" if source.get("title") else source["document"]
        notes.print(f"  [cyan]\\[{source.get('number') or '·'}][/cyan] {escape(where)}")
    for approval in record.get("approvals", []):
        notes.print(f"\n[yellow]Waits for your approval[/yellow] {escape(approval['preview'])}")
        notes.print(f"  signalbox approvals approve {approval['id']}")
    steps = ", ".join(
        f"{step['specialist']} {step['status']} {step['duration_ms'] / 1000:.2f} s" for step in record.get("steps", [])
    )
    notes.print(f"[dim]{escape(steps or 'no steps')} · {escape(str(record.get('engine', '')))}[/dim]")


def chat(client: GatewayClient, user: str, *, model: str, events: bool) -> None:
    """Questions until end of input; the conversation goes on between them."""
    notes = err()
    notes.print(f"[dim]Signed in as {escape(user)}. Ctrl-D ends.[/dim]")
    conversation_id: str | None = None
    while True:
        try:
            question = notes.input("[bold]> [/bold]").strip()
        except EOFError:
            notes.print()
            return
        if not question:
            continue
        asked = ask(client, question, conversation_id=conversation_id, model=model, events=events)
        conversation_id = asked.record.get("conversation_id", conversation_id)
        show_record(asked.record)


def _show_event(notes: Console, event: dict[str, Any]) -> None:
    at = f"[dim]{event.get('at_ms', 0):7.0f} ms[/dim]"
    match event.get("type"):
        case "plan.made":
            plan = "; ".join(f"{step['id']} {step['specialist']}: {step['task']}" for step in event["steps"])
            notes.print(f"{at} plan {escape(plan or 'no steps')}")
        case "step.started":
            notes.print(f"{at} [cyan]{escape(event['specialist'])}[/cyan] started")
        case "step.finished":
            notes.print(f"{at} [cyan]{escape(event['specialist'])}[/cyan] {event['status']} {escape(event['reason'])}")
        case "tool.called":
            arguments = json.dumps(event["arguments"], ensure_ascii=False)
            notes.print(f"{at}   {escape(event['tool'])} {escape(arguments)}")
        case "tool.finished":
            notes.print(f"{at}   {escape(event['tool'])} {event['status']} {event['duration_ms']:.0f} ms")
        case "progress":
            notes.print(f"{at}   {escape(event['message'])}")
        case _:
            pass
