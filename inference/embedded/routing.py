"""Plans a turn: which specialist gets which part of the message, by meaning, by words, by the kind of request."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.embedded.intents import Intent, clean, split_intents, wants_action
from inference.embedded.prompt_reader import Prompt, Turn
from inference.embedded.settings import EmbeddedSettings
from inference.embedded.smalltalk import small_talk
from inference.embedded.text import Rarity, clip, key_stems, sentences
from inference.embedded.vectors import VectorCache, Vectors

_ACTS = re.compile(
    r"\b(creat\w+|open\w*|send\w*|assign\w*|clos\w+|updat\w+|cancel\w*|chang\w+|fil(?:e|es|ing)|act(?:s|ion|ions)\b"
    r"|notif\w+"
    r"|book\w*|order(?:s|ing) |schedul\w+|perform\w*|ticket\w*|messag\w+|side effects?|delete\w*)\b",
    re.IGNORECASE,
)
_COUNTS = re.compile(
    r"\b(metrics?|numbers?|figures?|data(?:base)?|sql|counts?|totals?|rows?|records?|statistics|kpis?|trends?"
    r"|tables?|quer\w+"
    r"|operational|measure\w*|amounts?)\b",
    re.IGNORECASE,
)
_READS = re.compile(
    r"\b(documents?|polic\w+|handbooks?|manuals?|guides?|procedures?|knowledge|wiki|files?|pages?|passages?"
    r"|e-?mails?|rules?"
    r"|written|text)\b",
    re.IGNORECASE,
)
_ASKS_COUNT = re.compile(
    r"\b(how many|how much|number of|total|count of|average|mean|median|sum of|percentage|share of|rate of|trend"
    r"|top \d+|per"
    r" (?:day|week|month|quarter|year|site|model|customer|region)|by (?:day|week|month|quarter|site|model|region"
    r"|status)"
    r"|most|least|highest|lowest|fewest|compare|figures|statistics|list (?:all|the))\b",
    re.IGNORECASE,
)
_ASKS_PERIOD = re.compile(
    r"\b(last|this|past|previous|current) (?:\d+ |few |two |three )?(?:day|week|month|quarter|year)s?\b"
    r"|\byesterday\b|\btoday\b"
    r"|\bsince\b|\bQ[1-4]\b|\bin (?:january|february|march|april|may|june|july|august|september|october|november"
    r"|december)\b"
    r"|\b20\d\d\b|\bright now\b|\bcurrently\b|\bso far\b",
    re.IGNORECASE,
)
_ASKS_RULE = re.compile(
    r"\b(polic\w+|allowed|entitled|eligible|terms|contracts?|clauses?|says?|stated?|decided"
    r"|decisions?|minutes|guides?|get\b|code of|procedure|process|rules?|guidelines?|may i|can i|should i|am i"
    r"|do i|must"
    r"|how do (?:i|we)"
    r"|how to|what happens|who (?:is|should|do|approves|can)|explain|why|what does|mean\w*|according to|handbook"
    r"|manual"
    r"|recommended|required|steps?|instructions?|set up|how often|how long)\b",
    re.IGNORECASE,
)
_ASKS_HOW = re.compile(r"^\W*(?:how|where|when|why|what) (?:do|can|should|to|does|must|would)\b", re.IGNORECASE)
_FOLLOW_UP = re.compile(
    r"^\W*(?:and|but|also|what about|how about|and what about|same (?:for|in)|then|only|now|just|ok and)\b"
    r"|^\W*(?:in|for|since|with|without|by|per) [\w\s]{2,30}\?\s*$",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(
    r"\b(it|its|that|this|they|them|their|those|these|he|she|him|her|the same|there)\b", re.IGNORECASE
)
_USES_FINDING = re.compile(
    r"\b(it|that|this|them|those|these|the (?:result|results|answer|findings?|summary|number|numbers|list|figures?"
    r"|outcome))\b",
    re.IGNORECASE,
)
_MARGIN = 0.1


@dataclass(frozen=True)
class Route:
    """One part of the message and the specialists for it, best first."""

    task: str
    specialists: tuple[str, ...]
    is_action: bool = False


@dataclass(frozen=True)
class Routing:
    """The routes of a message, or the reply that needs none."""

    routes: tuple[Route, ...] = ()
    reply: str = ""


class Router:
    """Matches the parts of a message with the specialists' own words about themselves."""

    def __init__(self, vectors: VectorCache, settings: EmbeddedSettings) -> None:
        self._vectors = vectors
        self._settings = settings

    async def route(self, prompt: Prompt) -> Routing:
        """Routes in the order of the message; parts for the same specialist stay together."""
        profiles = [_Profile(item) for item in prompt.specialists if item.get("name")]
        message = prompt.question or prompt.loose
        reply = small_talk(message, _abilities(profiles))
        if reply is not None or not message.strip():
            return Routing(reply=reply or "What would you like to know?")
        if not profiles:
            return Routing(reply="No specialist is available for this at the moment.")
        intents = _intents(rewrite(message, prompt.history))
        texts = [clip(intent.whole, 600) for intent in intents]
        samples = [sample for profile in profiles for sample in profile.samples]
        vectors = await self._vectors.embed([*texts, *samples])
        return await asyncio.to_thread(_routes, intents, profiles, vectors)


class _Profile:
    """One specialist as its own words describe it."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        self.name = str(item["name"])
        self.description = str(item.get("description") or "")
        self.up = str(item.get("health") or "up").lower() in ("up", "ok", "healthy", "")
        self.examples = [str(example) for example in item.get("examples") or ()]
        self.has_tools = bool(item.get("tools"))
        tools = [_tool_text(tool) for tool in item.get("tools") or ()]
        self.samples = [text for text in (*sentences(self.description), *self.examples, *tools) if text] or [self.name]
        self.words = key_stems(" ".join((self.name, self.description, *self.examples, *tools)))
        own = f"{self.name} {self.description} {' '.join(tools)}"
        counts = [len(pattern.findall(own)) for pattern in (_ACTS, _COUNTS, _READS)]
        whole = sum(counts) or 1
        self.acts, self.counts, self.reads = (count / whole for count in counts)


def rewrite(message: str, history: Sequence[Turn]) -> str:
    """A follow-up made whole with the question before it; other messages unchanged."""
    earlier = [turn.text for turn in history if turn.role == "user" and turn.text.strip()]
    if not earlier or wants_action(message):
        return message
    bare = clean(message)
    own = key_stems(bare)
    short = len(own) <= 3
    if not (_FOLLOW_UP.search(message) and len(own) <= 6) and not (short and _POINTS_BACK.search(bare)):
        return message
    addition = re.sub(
        r"^\W*(?:(?:and|but|also|then|ok|now|only|just|what about|how about|same (?:for|in))\s+)+", "", bare, flags=re.I
    )
    return f"{addition.rstrip('?. ')}: {earlier[-1].strip()}" if addition else earlier[-1]


def _intents(message: str) -> list[Intent]:
    return split_intents(message, limit=6)


def _routes(intents: list[Intent], profiles: list[_Profile], vectors: Vectors) -> Routing:
    asked, held = vectors[: len(intents)], vectors[len(intents) :]
    rarity = Rarity([set(profile.words) for profile in profiles])
    routes: list[Route] = []
    for intent, vector in zip(intents, asked, strict=True):
        scores = _scores(intent, vector, held, profiles, rarity)
        order = np.argsort(-scores, kind="stable")
        action = wants_action(intent.text)
        names = [profiles[int(order[0])].name]
        if not action and len(order) > 1 and scores[order[0]] - scores[order[1]] < _MARGIN:
            second = profiles[int(order[1])]
            if second.acts < 0.5 and second.has_tools:
                names.append(second.name)
        routes.append(Route(intent.whole, tuple(names), action))
    return Routing(tuple(_joined(routes)))


def _scores(intent: Intent, vector: Vectors, held: Vectors, profiles: list[_Profile], rarity: Rarity) -> Vectors:
    text = intent.whole
    wanted = key_stems(text)
    action = wants_action(intent.text)
    count = bool(_ASKS_COUNT.search(text)) * 0.5 + bool(_ASKS_PERIOD.search(text)) * 0.5
    rule = bool(_ASKS_RULE.search(text))
    scores = np.zeros(len(profiles), dtype=np.float32)
    at = 0
    for index, profile in enumerate(profiles):
        cosines = held[at : at + len(profile.samples)] @ vector
        at += len(profile.samples)
        meaning = 0.7 * float(cosines.max()) + 0.3 * float(np.sort(cosines)[-3:].mean())
        words = rarity.overlap(wanted, profile.words)
        kind = (0.5 if action else -0.7 if _ASKS_HOW.search(intent.text) else -0.25) * profile.acts
        kind += (0.35 * count - 0.2 * rule) * profile.counts + (0.3 * rule - 0.15 * count) * profile.reads
        scores[index] = meaning + 0.3 * words + kind - (0.0 if profile.up else 0.3)
    return scores


def _joined(routes: list[Route]) -> list[Route]:
    """Neighbouring questions for the same specialists become one task; actions stay apart."""
    joined: list[Route] = []
    for route in routes:
        last = joined[-1] if joined else None
        if last and not route.is_action and not last.is_action and last.specialists == route.specialists:
            joined[-1] = Route(f"{last.task} {route.task}", last.specialists)
        else:
            joined.append(route)
    return joined


def uses_findings(route: Route) -> bool:
    """Whether an action speaks of something that an earlier part must find out first."""
    return route.is_action and bool(_USES_FINDING.search(route.task))


def _tool_text(tool: Any) -> str:
    if isinstance(tool, Mapping):
        return f"{str(tool.get('name', '')).rsplit('__', 1)[-1].replace('_', ' ')}: {tool.get('description', '')}"
    return str(tool).rsplit("__", 1)[-1].replace("_", " ").replace("*", "").strip()


def _abilities(profiles: list[_Profile]) -> str:
    asked = [f"“{profile.examples[0]}”" for profile in profiles if profile.examples and profile.up]
    return f"You could ask me, for example: {' · '.join(asked[:4])}" if asked else ""
