"""Puts prompts together: shared rules first, tagged sections next, the role's instruction last (docs/contracts.md).

What is the same for every role of a turn stands first, so that a server with a prefix cache computes it once.
"""

import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from autogen_core.models import LLMMessage, SystemMessage, UserMessage

from signalbox.errors import Bug, UserFault

SECTIONS = ("now", "summary", "history", "question", "specialists", "task", "findings", "outcomes", "role")
REQUIRED = frozenset({"rules", "planner", "synthesiser"})
"""The prompts without which no turn can run."""
_TAG = re.compile(rf"<(?=\s*/?\s*(?:{'|'.join(SECTIONS)})\b)", re.IGNORECASE)


def defang(text: str) -> str:
    """`text` with every `<` that would begin a section's tag escaped; all else is left as it is."""
    return _TAG.sub("&lt;", text)


def packaged_prompts(package: str = "agents.prompts") -> dict[str, str]:
    """The texts that come with this version, by name."""
    return {
        entry.name.removesuffix(".md"): entry.read_text(encoding="utf-8").strip()
        for entry in resources.files(package).iterdir()
        if entry.name.endswith(".md")
    }


class Prompts:
    """The texts of the roles, `agents/prompts` or a release's, and the layout in which models get them."""

    def __init__(self, *, canary: str, texts: Mapping[str, str] | None = None) -> None:
        self._texts = dict(packaged_prompts() if texts is None else texts)
        self._canary = canary
        if missing := sorted(REQUIRED - self._texts.keys()):
            raise UserFault(f"These prompts are missing: {', '.join(missing)}.", hint="Each is a file <name>.md.")

    @property
    def rules(self) -> str:
        """What every role is told first."""
        return f"{self._texts['rules']}\n\nInternal marker, never to be written: {self._canary}"

    @property
    def protected(self) -> Sequence[str]:
        """The texts that no answer may recite."""
        return tuple(self._texts.values())

    def instruction(self, name: str) -> str:
        """The instruction of one role; raises `Bug` when there is none."""
        if name not in self._texts:
            raise Bug(f"There is no prompt {name!r}: it would be agents/prompts/{name}.md.")
        return self._texts[name]

    def has(self, name: str) -> bool:
        """Whether there is an instruction of this name."""
        return name in self._texts

    def task(self, instruction: str, role: str, sections: Mapping[str, Any]) -> str:
        """The user message for one role: its sections in their fixed order, then its instruction."""
        parts = [_section(tag, sections[tag]) for tag in SECTIONS if sections.get(tag) not in (None, "", [], ())]
        return "\n\n".join([*parts, _section("role", role), instruction])

    def messages(self, role: str, sections: Mapping[str, Any]) -> list[LLMMessage]:
        """A whole conversation for a role that is no specialist."""
        text = self.task(self.instruction(role), role, sections)
        return [SystemMessage(content=self.rules), UserMessage(content=text, source="user")]


def _section(tag: str, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return f"<{tag}>\n{defang(text)}\n</{tag}>"
