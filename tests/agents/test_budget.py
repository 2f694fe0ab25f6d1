"""A run's budget is a tree; when a part of it is spent, the answer is what there is, and code says what was cut."""

import math
import time

from agents.review.verdict import Verdict
from runs.events import StepFinished, UsageCounted
from tests.agents.memory import MemoryBus
from tests.agents.plays import A, B, plan, result_of, script, searching
from tests.agents.scripted import Reply, ask, call, collect, evidence
from toolbus.budget import Budget

ENDLESS = "The first sentence is out. The second never comes"


def two_searches():
    return MemoryBus(
        knowledge__search=lambda _: evidence(A, "x"), operations__q=lambda _: evidence(B, "y", tool="operations__q")
    )


def test_a_child_has_no_more_than_is_left_above_it():
    run = Budget(10, 1000, time.monotonic() + 60, money=1.0)
    work = run.child(tool_calls=8, tokens=800, money=0.5)
    step = work.child(tool_calls=20, tokens=9000, money=9.0, within_s=3600)
    assert (step.tool_calls, step.tokens, step.money) == (8, 800, 0.5)
    assert step.deadline == run.deadline
    step.charge(900, 0.75)
    assert (run.tokens, run.money) == (100, 0.25)
    assert (step.spent(), work.spent(), run.spent()) == ("tokens", "tokens", None)
    assert work.child(tool_calls=1, tokens=1).spent() == "tokens"


def test_a_tool_call_is_taken_everywhere_or_nowhere():
    run = Budget(1, 0, math.inf)
    one, other = run.child(tool_calls=5, tokens=0), run.child(tool_calls=5, tokens=0)
    assert one.take_tool_call()
    assert not other.take_tool_call()
    assert (run.tool_calls, other.refused, one.refused) == (0, {"tool calls"}, set())


def test_time_is_spent_too():
    assert Budget(1, 1, time.monotonic()).spent() == "time"
    assert Budget(1, 1, time.monotonic() + 60).child(tool_calls=1, tokens=1, within_s=0).left_s() == 0


async def test_a_step_that_may_not_go_on_ends_with_an_honest_word(house):
    spends = Reply([call("knowledge__search")], usage=(500, 700))
    home = house(
        script(plan(("a", "knowledge", ())), a=spends),
        two_searches(),
        specialists={"knowledge": {"tokens": 1000}},
        replans=0,
    )
    result, _ = await result_of(home)
    assert result.text == (
        "I could not answer this. The knowledge specialist could not do its part: its budget of tokens was used up."
    )
    assert result.steps[0].status == "failed"
    assert len(home.models.by_role("specialist:knowledge")) == 1


async def test_an_answer_that_was_paid_for_is_given_although_it_was_the_last(house):
    home = house(
        script(plan(("a", "generalist", ())), a=Reply("A long answer.", usage=(500, 700))),
        specialists={"generalist": {"tokens": 1000}},
    )
    result, _ = await result_of(home)
    assert result.text == "A long answer."


async def test_money_is_counted_by_prices_and_ends_the_run_with_what_there_is(house):
    """Planner 0.01, first step 0.5 of a step's part of 0.85: the second step finds nothing left to begin with."""
    the_plan = plan(("a", "generalist", ()), ("b", "generalist", ("a",)))
    home = house(
        script(the_plan, a=Reply("Apples are red.", cost=0.9), b="Never said."),
        money=1.0,
        replans=1,
    )
    result, events = await result_of(home)
    assert result.text == (
        "Apples are red.\n\n"
        "The generalist specialist could not do its part: the budget of money was used up before it began."
    )
    assert result.cost == 0.9
    assert [event.status for event in events if isinstance(event, StepFinished)] == ["ok", "failed"]
    assert len(home.models.by_role("planner")) == 1  # nor is there money to plan again


async def test_findings_that_cannot_be_brought_together_for_want_of_money_are_said_one_by_one(house):
    the_plan = plan(("a", "generalist", ()), ("b", "generalist", ()))
    dear = [Reply("Apples.", cost=0.6), Reply("Bananas.", cost=0.6)]
    home = house(script(the_plan, a=dear[0], b=dear[1]), money=1.0)
    result, _ = await result_of(home)
    assert result.text == (
        "The budget of money was used up before the findings could be brought together; here they are one by one.\n\n"
        "Apples.\n\nBananas."
    )
    assert home.models.by_role("synthesiser") == []


async def test_every_model_call_of_a_run_is_charged_to_it(house):
    """Planner, its repair, two specialists (one twice), plan again, synthesiser, and the judge of every sentence."""
    plans = iter([plan(("a", "nobody", ())), plan(("a", "knowledge", ()), ("b", "generalist", ())), plan()])

    class Judge:
        async def judge(self, text, around):
            client = home.models.client("reviewer", around.calls)
            await client.create([], json_output=None)
            return Verdict("release", text)

    def say(seen):
        if seen.purpose == "reviewer":
            return Reply("fine", cost=0.125)
        reply = roles(seen)
        if isinstance(reply, Reply):
            return reply
        return Reply(reply.model_dump_json() if hasattr(reply, "model_dump_json") else reply, cost=0.125)

    roles = script(
        lambda seen: next(plans),
        a=searching("knowledge__search", f"It is 5.\nNEED_MORE: the name [#{A}]"),
        b="Bananas.",
    )
    home = house(say, two_searches(), extra={"judge": Judge()}, money=100.0)
    result, events = await result_of(home)
    assert [seen.role for seen in home.models.seen].count("planner") == 3
    assert result.usage.model_calls == len(home.models.seen)
    assert result.cost == 0.125 * len(home.models.seen)
    last = [event for event in events if isinstance(event, UsageCounted)][-1]
    assert (last.usage, last.cost) == (result.usage, result.cost)
    assert events[-2] is last


async def test_the_budget_of_tool_calls_is_shared_by_all_steps_and_what_it_cut_is_said(house):
    the_plan = plan(("k", "knowledge", ()), ("d", "data", ("k",)))

    def three(tool):
        return lambda seen: "Done." if seen.results else [call(tool, f"c{index}") for index in range(3)]

    bus = two_searches()
    home = house(script(the_plan, k=three("knowledge__search"), d=three("operations__q")), bus, tool_calls=4)
    result, _ = await result_of(home)
    assert len(bus.started) == 4
    assert result.text == (
        "Merged.\n\nThe data specialist wanted to go further, but its budget of tool calls was used up."
    )


async def test_steps_leave_time_for_the_answer(house):
    the_plan = plan(("a", "generalist", ()), ("b", "knowledge", ()))
    home = house(
        script(the_plan, a="Apples.", b=Reply("never", latency_s=60)), two_searches(), turn_timeout_s=1, replans=0
    )
    result, _ = await result_of(home)
    assert result.text.startswith("Apples.\n\nThe knowledge specialist did not answer within 0.8")


async def test_a_synthesiser_that_is_too_slow_leaves_time_to_say_the_findings(house):
    the_plan = plan(("a", "generalist", ()), ("b", "generalist", ()))
    slow = Reply(ENDLESS, latency_s=20, chunks=4)
    home = house(script(the_plan, a="A.", b="B.", synthesiser=slow), turn_timeout_s=1)
    result, _ = await result_of(home)
    assert result.text == "The findings could not be brought together; here they are one by one.\n\nA.\n\nB."
    assert home.models.by_role("synthesiser")[0].cancelled


async def test_a_turn_that_takes_too_long_ends_with_what_was_released(house):
    slow = Reply("The first sentence is out. " + "The second one never ends " * 40, latency_s=8, chunks=400)
    home = house(lambda seen: slow, turn_timeout_s=1)
    events = await collect(home.turns.run(ask("What?", model="direct")))
    assert events[-1].result.text == (
        "The first sentence is out. \n\nThis took longer than a turn may take and was stopped here."
    )
    assert home.models.seen[0].cancelled
