"""Whatever is tried in whatever order: nothing answers that was not validated last."""

from hypothesis import given
from hypothesis import strategies as st

from inference.registry.canary import takes
from inference.registry.states import Entry, Standing, State
from signalbox.errors import SignalboxError

EVENTS = ("created", "validated", "refused", "canary", "promoted", "rolled_back")
entries = st.builds(
    Entry,
    at=st.just("2026-11-20T09:00:00+00:00"),
    event=st.sampled_from(EVENTS),
    release=st.sampled_from(["a", "b", "c"]),
    share=st.sampled_from([0.0, 0.1, 1.0]),
)


def attempt(tried: list[Entry]) -> tuple[Standing, list[tuple[Standing, Entry, Standing]]]:
    standing, moves = Standing(), []
    for entry in tried:
        try:
            after = standing.after(entry)
        except SignalboxError:
            continue
        moves.append((standing, entry, after))
        standing = after
    return standing, moves


@given(st.lists(entries, max_size=40))
def test_at_most_one_release_is_live_and_one_a_canary_and_the_states_say_so(tried):
    _, moves = attempt(tried)
    for _, _, after in moves:
        live = [name for name, state in after.states.items() if state is State.LIVE]
        canary = [name for name, state in after.states.items() if state is State.CANARY]
        assert live == ([after.live] if after.live else [])
        assert canary == ([after.canary] if after.canary else [])
        assert (0 < after.share < 1) == (after.canary is not None)


@given(st.lists(entries, max_size=40))
def test_only_what_was_validated_and_not_refused_since_goes_live(tried):
    _, moves = attempt(tried)
    verdicts: dict[str, str] = {}
    for _before, entry, after in moves:
        if entry.event in ("validated", "refused"):
            verdicts[entry.release] = entry.event
        if entry.event in ("promoted", "canary"):
            assert verdicts[entry.release] == "validated"
            assert entry.release in (after.live, after.canary)


@given(st.lists(entries, max_size=40))
def test_a_rollback_puts_back_exactly_what_answered_before_the_promotion(tried):
    standing, _ = attempt(tried)
    for name, state in standing.states.items():
        if state is State.VALIDATED and standing.canary is None:
            at = "2026-11-20T09:00:00+00:00"
            promoted = standing.after(Entry(at=at, event="promoted", release=name))
            back = promoted.after(Entry(at=at, event="rolled_back", release=name))
            assert (back.live, back.canary, back.earlier) == (standing.live, None, standing.earlier)


@given(st.sampled_from(["r1", "r2"]), st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_a_conversation_stays_with_the_canary_while_its_share_grows(release, conversation, one, other):
    small, large = sorted((one, other))
    assert not takes(release, conversation, small) or takes(release, conversation, large)


def test_a_canary_gets_its_share_of_conversations():
    conversations = [f"conv_{number:024x}" for number in range(20_000)]
    taken = sum(takes("r1", one, 0.1) for one in conversations)
    assert 0.09 < taken / 20_000 < 0.11
    both = sum(takes("r1", one, 0.1) and takes("r2", one, 0.1) for one in conversations)
    assert both < 400  # another canary meets other people
