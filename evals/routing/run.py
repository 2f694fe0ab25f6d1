"""Messages of the demo company's people: the right specialists, the right metric or action, its arguments, or silence.

`python -m evals.routing.run [--show tuned]`. Odd lines of `messages.jsonl` and all of `validation.jsonl` were tuned on;
even lines of `messages.jsonl` were not looked at.

A specialist with tools that calls none stays silent: it counts as not chosen. `plan`: those who speak are the wanted
ones (knowledge may be asked beside data: it declines by its evidence, which is scored elsewhere). `call`: the metric or
the action is an accepted one. `arguments`: all that the label names are right.
"""

import argparse
import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json import loads
from pathlib import Path
from typing import Any

from evals.embedded.common import embedder
from evals.routing.team import TODAY, Team, assemble
from inference.embedded import EmbeddedEngine
from inference.embedded.prompt_reader import Prompt, Turn
from inference.embedded.schemas import offers_of
from inference.embedded.structured import plan_of
from inference.embedded.toolchoice import Call

Case = Mapping[str, Any]
HERE = Path(__file__).parent
HELD_OUT = "held out (even)"


@dataclass
class Outcome:
    """What the engine did with one message."""

    planned: list[str]
    spoke: set[str]
    calls: list[Call] = field(default_factory=list)
    asked_back: bool = False
    replied: bool = False

    def __str__(self) -> str:
        calls = [f"{named(call)}({', '.join(f'{k}={v!r}' for k, v in flat(call).items())})" for call in self.calls]
        return f"planned {self.planned} spoke {sorted(self.spoke)} {' '.join(calls)}{' asked back' * self.asked_back}"


def flat(call: Call) -> dict[str, Any]:
    """The arguments of a call, those of a metric included."""
    inner = call.arguments.get("query")
    return dict(inner if isinstance(inner, dict) else call.arguments)


def named(call: Call) -> str:
    """The metric where the call is one, else the tool."""
    return str(flat(call).get("metric") or call.tool)


async def play(engine: EmbeddedEngine, team: Team, case: Case) -> Outcome:
    """Plan the message, then let every planned specialist choose its tools."""
    history = tuple(Turn("user", text) for text in case.get("history", ()))
    routing = await engine.router.route(Prompt(question=case["message"], specialists=team.cards, history=history))
    plan = plan_of(routing)
    outcome = Outcome([step["specialist"] for step in plan["steps"]], set(), replied=bool(plan["reply"]))
    for step in plan["steps"]:
        name = step["specialist"]
        if name in ("knowledge", "generalist"):
            outcome.spoke.add(name)
            continue
        found = "Found." if step["needs"] else ""
        choice = await engine.tools.choose(step["task"], offers_of(team.tools[name]), TODAY, found=found)
        if choice.calls or choice.reply:
            outcome.spoke.add(name)
        outcome.asked_back |= bool(choice.reply and not choice.calls)
        outcome.calls += choice.calls
    return outcome


def plan_right(case: Case, outcome: Outcome) -> bool:
    """Whether those who speak are those who should."""
    if case.get("reply"):
        return outcome.replied and not outcome.planned
    if "one_of" in case:
        return bool(outcome.spoke) and outcome.spoke <= {*case["one_of"], "knowledge"}
    want = set(case["want"])
    if not want:
        return outcome.spoke <= {"knowledge", "generalist"}
    may = set(case.get("may", ())) | ({"knowledge"} if "data" in want else set())
    return want <= outcome.spoke <= want | may


def call_right(case: Case, outcome: Outcome) -> bool | None:
    """Whether an accepted metric or action was called; None where the label accepts anything."""
    if not any(case.get(key) for key in ("metrics", "tools")):
        return None
    if "one_of" in case:
        return any(named(call) in (*case.get("metrics", ()), *case.get("tools", ())) for call in outcome.calls)
    names = [named(call) for call in outcome.calls]
    groups: list[Sequence[str]] = [case[key] for key in ("metrics", "tools") if case.get(key)]
    return all(any(name in group for name in names) for group in groups)


def arguments_right(case: Case, outcome: Outcome) -> bool | None:
    """Whether what the label says about arguments holds; None where it says nothing."""
    if not (case.get("args") or case.get("contains")):
        return None
    wanted = (*case.get("metrics", ()), *case.get("tools", ()))
    return any(_fits(case, flat(call)) for call in outcome.calls if named(call) in wanted)


def _fits(case: Case, given: Mapping[str, Any]) -> bool:
    exact = all(given.get(key) == value for key, value in case.get("args", {}).items())
    return exact and all(
        part.lower() in str(given.get(key, "")).lower() for key, part in case.get("contains", {}).items()
    )


async def run(*, show: str) -> None:
    """Score all messages by set and type."""
    messages, validation = _cases("messages.jsonl"), _cases("validation.jsonl")
    engine = EmbeddedEngine(embedder())
    with tempfile.TemporaryDirectory() as folder:
        team = await assemble(Path(folder))
    sets = (("tuned on (odd)", messages[::2]), ("tuned on (validation)", validation), (HELD_OUT, messages[1::2]))
    for title, cases in sets:
        part = [(case, await play(engine, team, case)) for case in cases]
        print(f"\n{title}: {len(part)} messages\n{'':14}{'plan':>14}{'call':>14}{'arguments':>14}")
        kinds: dict[str, list[tuple[Case, Outcome]]] = defaultdict(list)
        for pair in part:
            kinds[str(pair[0]["type"])].append(pair)
            kinds["all"].append(pair)
        for kind in sorted(kinds, key=lambda name: (name == "all", name)):
            print(f"{kind:14}" + "".join(_share(judge, kinds[kind]) for judge in _JUDGES))
        if show == "all" or (show == "tuned" and title != HELD_OUT):
            _print_faults(part)


def _cases(name: str) -> list[Case]:
    return [loads(line) for line in (HERE / name).read_text().splitlines() if line.strip()]


_JUDGES = (plan_right, call_right, arguments_right)


def _share(judge: Any, pairs: Sequence[tuple[Case, Outcome]]) -> str:
    verdicts = [verdict for pair in pairs if (verdict := judge(*pair)) is not None]
    return f"{f'{sum(verdicts)}/{len(verdicts)}' if verdicts else '':>14}"


def _print_faults(pairs: Sequence[tuple[Case, Outcome]]) -> None:
    for case, outcome in pairs:
        wrong = [judge.__name__.removesuffix("_right") for judge in _JUDGES if judge(case, outcome) is False]
        if wrong:
            print(f"  {case['type']}: {case['message']!r} [{', '.join(wrong)}]\n      {outcome}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", choices=("none", "tuned", "all"), default="none")
    asyncio.run(run(show=parser.parse_args().show))
