"""A remote agent's card as a tool: everything that a model, a policy or a person is told of it, so that it is pinned.

A card is a stranger's text: bounded and made visible here, reviewed by an operator like the text of any other tool. Of
two cards that say the same to all of them, one is as good as the other: versions and logos do not count.
"""

from collections.abc import Iterable

from a2a.types import AgentCard

from a2a_bridge.settings import RemoteAgent
from toolbus.catalogue import clean_text
from toolbus.sources import DeclaredTool

ASK = "ask"
_MAX_TASK_CHARS = 10_000
"""JSON may need six bytes for each: below the bus's limit for arguments."""
_MAX_SKILLS = 30
_MAX_EXAMPLES = 20
_MAX_CHARS = 300


def declared(card: AgentCard, remote: RemoteAgent) -> DeclaredTool:
    """The tool `ask` of the agent with this card."""
    skills = [": ".join(filter(None, [_short(skill.name), _short(skill.description)])) for skill in card.skills]
    told = [": ".join(filter(None, [_short(card.name), _short(card.description, 4 * _MAX_CHARS)]))]
    told += [f"- {skill}" for skill in skills[:_MAX_SKILLS] if skill]
    return DeclaredTool(
        name=ASK,
        description="\n".join(told),
        input_schema=_schema(_examples(card)),
        read_only=remote.read_only,
        destructive=not remote.read_only,
        idempotent=remote.read_only,
    )


def _schema(examples: list[str]) -> dict[str, object]:
    task: dict[str, object] = {
        "type": "string",
        "minLength": 1,
        "maxLength": _MAX_TASK_CHARS,
        "description": "The whole task in words; the agent knows nothing else of the conversation.",
    }
    if examples:
        task["examples"] = examples
    return {"type": "object", "properties": {"task": task}, "required": ["task"], "additionalProperties": False}


def _examples(card: AgentCard) -> list[str]:
    given: Iterable[str] = (_short(example) for skill in card.skills for example in skill.examples)
    return list(dict.fromkeys(filter(None, given)))[:_MAX_EXAMPLES]


def _short(text: str, max_chars: int = _MAX_CHARS) -> str:
    return " ".join(clean_text(text, max_chars).split())
