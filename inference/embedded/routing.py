"""Plans a turn: which specialist gets which part of the message, by meaning, by words, by the kind of request."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inference.embedded.arguments.values import IDENTIFIER
from inference.embedded.beyond import is_beyond
from inference.embedded.followups import intents_of, rewrite
from inference.embedded.intents import Intent, asks_for_rule, clean, wants_action
from inference.embedded.joining import Route, Routing, joined
from inference.embedded.prompt_reader import Prompt
from inference.embedded.settings import EmbeddedSettings
from inference.embedded.smalltalk import small_talk
from inference.embedded.telling import only_points
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
_TEXTS = re.compile(
    r"\b(writ(?:es?|ing)|rewrit\w+|summari[sz]\w+|translat\w+|draft\w*|rephras\w+|format\w*|compos\w+|poems?)\b",
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
_ASKS_WHY = re.compile(
    r"^\W*(?:why|may|should|must|explain|how often (?:is|are|do|must|should)|what counts"
    r"|what(?:'s|’s| is| are) (?:our|the|my) (?:maximum |minimum |usual )?(?:rules?|polic(?:y|ies)|warranty|guarantee"
    r"|limit|deadline|fee|penalty"
    r"|(?:answer|response|reaction) time|allowance"
    r"|procedure|process|definition|meaning|difference|dress code|notice period)\b"
    r"|what (?:does|did|do|has|have) .*\b(?:say|mean|state|cover|include|write|written|decide|agree|promise|announce"
    r"|recommend)|how (?:do|should|must) (?:i|we|you)"
    r"|(?:do|can|am) (?:i|we)\b(?!(?: still| already| currently| now)? have\b))"
    r"|\b(?:should (?:i|we)|do i have to|allowed|entitled|mandatory|polic\w+|procedure|handbook|contract)\b",
    re.IGNORECASE,
)
_ASKS_PERSON = re.compile(
    r"^\W*who(?:'s|’s| is| are)\b|\w['’]s? (?:e-?mail|phone|extension|telephone|number|contact)\b"
    r"|\b(?:e-?mail|phone|extension|telephone|contact)\b(?: \w+){0,2} (?:of|for)\b",
    re.IGNORECASE,
)
_PEOPLE = frozenset({"person", "peopl", "colleagu", "directori", "staff", "contact"})
_MARGIN = 0.1
_MARGIN_OF_DOUBT = 0.45
"""How far the figures may be ahead of the documents, or behind, before one of them alone is asked."""
_CLOSE = 0.2
"""How little behind the best another may be to be asked about a part though it has another part to itself."""
_SURE = 0.75
"""A likeness with a specialist's own example that leaves no doubt."""
_SAYS_NOTHING = "What do you mean? Name the thing, the place or the time that you ask about."


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
        if not prompt.history and only_points(clean(message)):
            return Routing(question=_SAYS_NOTHING)  # "And that one?", with nothing that it could point back to
        whole = rewrite(message, prompt.history, prompt.now)
        assumptions = () if whole == message else (f"you ask “{clip(whole, 200)}”",)
        intents = intents_of(whole)
        texts = [clip(intent.whole, 600) for intent in intents]
        samples = [sample for profile in profiles for sample in profile.samples]
        vectors = await self._vectors.embed([*texts, *samples])
        routes = await asyncio.to_thread(_routes, intents, profiles, vectors)
        readers = frozenset(profile.name for profile in profiles if profile.reads > 0.5)
        return Routing(tuple(joined(routes, whole, readers)), assumptions=assumptions)


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
        self.words = frozenset(key_stems(" ".join((self.name, self.description, *self.examples, *tools))))
        self.objects = {each for tool in tools for each in key_stems(tool.split(":")[0])[1:]}
        self.id_shapes = {shape for example in self.examples for shape in _shapes(example)}
        own = f"{self.name} {self.description} {' '.join(tools)}"
        counts = [len(pattern.findall(own)) for pattern in (_ACTS, _COUNTS, _READS, _TEXTS)]
        whole = sum(counts) or 1
        self.acts, self.counts, self.reads, self.texts = (count / whole for count in counts)


def _routes(intents: list[Intent], profiles: list[_Profile], vectors: Vectors) -> list[Route]:
    asked, held = vectors[: len(intents)], vectors[len(intents) :]
    rarity = Rarity([set(profile.words) for profile in profiles])
    routes: list[Route] = []
    for intent, vector in zip(intents, asked, strict=True):
        scores, likeness = _scores(intent, vector, held, profiles, rarity)
        action = wants_action(intent.text) and not is_beyond(intent.text)
        names, close = _chosen(intent, profiles, scores, likeness, action=action)
        routes.append(Route(intent.whole, names, action, close))
    return routes


def _chosen(
    intent: Intent, profiles: Sequence[_Profile], scores: Vectors, likeness: Vectors, *, action: bool
) -> tuple[tuple[str, ...], frozenset[str]]:
    """The best specialist with those that may know as well (who has nothing to say declines), and the close ones."""
    order = _in_order(intent, profiles, scores)
    best = profiles[order[0]]
    sole = None if action or is_beyond(intent.text) else _sole(intent, profiles)
    if sole is not None or action or is_beyond(intent.text) or best.texts > 0.5:
        return ((sole or best).name,), frozenset()
    if best.counts > 0.5 and _ASKS_WHY.search(intent.text):
        readers = [profile for profile in profiles if profile.reads > 0.5 and profile.up]
        if readers:
            return (max(readers, key=lambda profile: float(scores[profiles.index(profile)])).name,), frozenset()
    sure = best.counts > 0.5 and likeness[order[0]] >= _SURE and not _ASKS_RULE.search(intent.text)
    shapes = _shapes(intent.whole)
    behind: dict[str, float] = {}
    for at in order[1:]:
        other = profiles[at]
        if shapes and other.id_shapes and not shapes & other.id_shapes:
            continue  # it keeps other records
        if other.texts > 0.5 or not other.up or (best.counts > 0.5 and _ASKS_PERSON.search(intent.text)):
            continue
        distance = float(scores[order[0]] - scores[at])
        if distance < _margin(intent, best, other, sure=sure):
            behind[other.name] = distance
    close = frozenset(name for name, distance in behind.items() if distance < _CLOSE)
    return (best.name, *behind)[:3], close


def _in_order(intent: Intent, profiles: Sequence[_Profile], scores: Vectors) -> list[int]:
    """Best first; who works on texts comes last for a question, however like its words are."""
    order = [int(at) for at in np.argsort(-scores, kind="stable")]
    if is_beyond(intent.text):
        return order
    return sorted(order, key=lambda at: profiles[at].texts > 0.5)


def _sole(intent: Intent, profiles: Sequence[_Profile]) -> _Profile | None:
    """Who alone keeps the records that the words name: by the shape of an id, or by the object of their tools."""
    if asks_for_rule(intent.text) or _ASKS_HOW.search(intent.text):
        return None
    shapes, wanted = _shapes(intent.whole), set(key_stems(intent.text))
    for marks, given in (
        ([profile.id_shapes for profile in profiles], shapes),
        ([p.objects for p in profiles], wanted),
    ):
        keepers = [profile for profile, held in zip(profiles, marks, strict=True) if held & given]
        if len(keepers) == 1 and keepers[0].has_tools and keepers[0].up and keepers[0].acts > 0.5:
            return keepers[0]
    return None


def _shapes(text: str) -> set[str]:
    """What the ids in the text begin with, in capitals: "T" for "t-1001"."""
    found = (re.match(r"[A-Za-z]+(?=-\d)", match.group()) for match in IDENTIFIER.finditer(text))
    return {match.group().upper() for match in found if match}


def _margin(intent: Intent, best: _Profile, other: _Profile, *, sure: bool) -> float:
    """How far another may be behind the best and still be asked as well; 0 when it is not."""
    wanted = set(key_stems(intent.text))
    if _ASKS_PERSON.search(intent.text) and (best.reads > 0.5 or not best.words & _PEOPLE):
        return _MARGIN_OF_DOUBT * 2 if other.has_tools and other.words & _PEOPLE and other.reads < 0.5 else 0.0
    if other.acts > 0.5:
        if not (other.has_tools and (IDENTIFIER.search(intent.text) or wanted & other.objects)):
            return 0.0
        return _MARGIN_OF_DOUBT
    if best.acts > 0.5:
        return _MARGIN if wanted & best.objects else _MARGIN_OF_DOUBT
    if other.counts > 0.5:
        return 0.0 if _ASKS_WHY.search(intent.text) else _MARGIN_OF_DOUBT
    return 0.0 if sure else _MARGIN_OF_DOUBT


def _scores(
    intent: Intent, vector: Vectors, held: Vectors, profiles: list[_Profile], rarity: Rarity
) -> tuple[Vectors, Vectors]:
    """How well each specialist fits, and how like its closest words are."""
    text = intent.whole
    wanted = key_stems(text)
    composing = is_beyond(intent.text)
    action = wants_action(intent.text) and not composing
    count = bool(_ASKS_COUNT.search(text)) * 0.5 + bool(_ASKS_PERIOD.search(text)) * 0.5
    rule = bool(_ASKS_RULE.search(text))
    scores = np.zeros(len(profiles), dtype=np.float32)
    likeness = np.zeros(len(profiles), dtype=np.float32)
    at = 0
    for index, profile in enumerate(profiles):
        cosines = held[at : at + len(profile.samples)] @ vector
        at += len(profile.samples)
        likeness[index] = cosines.max()
        meaning = 0.7 * float(cosines.max()) + 0.3 * float(np.sort(cosines)[-3:].mean())
        words = rarity.overlap(wanted, profile.words)
        kind = (0.5 if action else -0.7 if _ASKS_HOW.search(intent.text) else -0.25) * profile.acts
        kind += (0.35 * count - 0.2 * rule) * profile.counts + (0.3 * rule - 0.15 * count) * profile.reads
        kind += (1.0 if composing else -0.35) * profile.texts
        scores[index] = meaning + 0.3 * words + kind - (0.0 if profile.up else 0.3)
    return scores, likeness


def _tool_text(tool: Any) -> str:
    if isinstance(tool, Mapping):
        return f"{str(tool.get('name', '')).rsplit('__', 1)[-1].replace('_', ' ')}: {tool.get('description', '')}"
    return str(tool).rsplit("__", 1)[-1].replace("_", " ").replace("*", "").strip()


def _abilities(profiles: list[_Profile]) -> str:
    asked = [f"“{profile.examples[0]}”" for profile in profiles if profile.examples and profile.up]
    return f"You could ask me, for example: {' · '.join(asked[:4])}" if asked else ""
