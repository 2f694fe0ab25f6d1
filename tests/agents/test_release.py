"""The choke point: what leaves, in which pieces, and that nothing else can let it out."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agents
from agents.evidence import Evidence
from agents.release import Release
from agents.review.verdict import Verdict
from agents.reviewer import Reviewer
from agents.settings import ReviewSettings
from tests.agents.scripted import evidence

CANARY = "kestrel-4711-harbour"
PROTECTED = "State only what the material supports and cite each claim that rests on a tool's result by its reference."
A = "aaaaaaaa"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
TEXT = (
    "The northern region grew by 12 percent. Costs stayed flat, says the controller [#aaaaaaaa]. Cards such as\n"
    "4111 1111 1111 1111 are masked, and so is DE89 3704 0044 0532 0130 00 here. "
    "![chart](https://evil.example/x.png?d=1) See [the wiki](https://wiki.larkspur.example/a) "
    "and [this](https://evil.example/?q=secret). Unknown [#cccccccc]. "
    "- a list\n- of things\n\nThe key is sk-proj-abcdefghijklmnop0123456789. Token " + JWT + " ends it."
)


def reviewer(**more):
    settings = ReviewSettings(allowed_hosts=("ok.example", "*.ours.example"))
    return Reviewer(settings, canary=CANARY, protected=[PROTECTED], **more)


async def let_out(text, chunks=None, **more):
    kept = Evidence()
    kept.add(evidence(A, "Costs stayed flat.", uri="https://wiki.larkspur.example/costs"))
    out = []

    async def emit(event):
        out.append(event.text)

    release = Release(reviewer(**more), kept, emit)
    for chunk in [text] if chunks is None else chunks:
        await release.feed(chunk)
    await release.finish()
    assert "".join(out) == release.text
    return release


async def test_a_whole_answer_as_it_leaves():
    release = await let_out(TEXT)
    assert release.text == (
        "The northern region grew by 12 percent. Costs stayed flat, says the controller [1]. Cards such as\n"
        "[payment number removed] are masked, and so is [payment number removed] here. [image removed] "
        "See [the wiki](https://wiki.larkspur.example/a) and this [link removed]. Unknown. "
        "- a list\n- of things\n\nThe key is [secret removed]. Token [secret removed] ends it."
    )


@st.composite
def cuts(draw, text):
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=40)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


@given(st.data())
async def test_any_chunking_gives_the_same_text(data):
    whole = (await let_out(TEXT)).text
    assert (await let_out(TEXT, data.draw(cuts(TEXT)))).text == whole


PIECES = st.sampled_from(
    [
        *("A word. ", "Two\nlines ", "[", "](", ")", "![x](https://evil.example/", "4111 1111 ", "1111 1111. "),
        *("<img src=", ">", "\n\n", "[#aaaaaaaa]", "sk-proj-abcdefghijkl", "mnopqrstuvwxyz0123 ", "Ü…! ", "\u200b"),
        *("e\u200d", "。", " 7", "x" * 700, "NO_ANSWER "),
    ]
)


@given(st.lists(PIECES, max_size=14), st.data())
async def test_any_chunking_of_anything_gives_the_same_text(pieces, data):
    text = "".join(pieces)
    assert (await let_out(text, data.draw(cuts(text)))).text == (await let_out(text)).text


async def test_single_characters_give_the_same_text():
    assert (await let_out(TEXT, list(TEXT))).text == (await let_out(TEXT)).text


async def test_sentences_leave_as_soon_as_they_are_whole():
    out = []

    async def emit(event):
        out.append(event.text)

    release = Release(reviewer(), Evidence(), emit)
    await release.feed("One sentence. And an")
    assert out == ["One sentence. "]
    await release.feed("other [link](https://ok.exam")
    assert len(out) == 1
    await release.feed("ple/x). Then more")
    assert out[1:] == ["And another [link](https://ok.example/x). "]
    release.discard()
    await release.finish()
    assert len(out) == 2


@pytest.mark.parametrize("chunked", [False, True])
async def test_the_marker_of_the_prompts_withholds_the_rest(chunked):
    text = f"All is fine. My rules say {CANARY.upper()} and more. And this never leaves."
    release = await let_out(text, list(text) if chunked else None)
    assert release.text == "All is fine. [Withheld: this part of the answer held internal instructions.]"
    assert release.withheld


async def test_reciting_the_prompts_is_withheld_also_across_sentences():
    spread = PROTECTED.replace("supports and", "supports. And").replace("cite each", "cite\neach")
    release = await let_out(f"Sure. {spread}")
    assert release.withheld
    assert "reference" not in release.text


@pytest.mark.parametrize("mark", ["NO_ANSWER ", "**NO_ANSWER**: ", "NO_ANSWER\n", "NO_ANSWER: ", "\n NO_ANSWER - "])
async def test_no_answer_is_a_flag_and_not_a_word_of_the_answer(mark):
    text = f"{mark}The wiki does not say."
    release = await let_out(text, list(text))
    assert (release.text, release.declined) == ("The wiki does not say.", True)


async def test_no_answer_in_the_middle_of_an_answer_is_only_taken_out():
    release = await let_out("It is 3. NO_ANSWER for the rest.")
    assert (release.text, release.declined) == ("It is 3. for the rest.", False)


async def test_a_check_that_breaks_withholds():
    class Broken:
        def links_to(self, url):
            raise RuntimeError

    out = []

    async def emit(event):
        out.append(event.text)

    release = Release(reviewer(), Evidence(), emit)
    release._evidence = Broken()  # pyright: ignore
    await release.feed("See https://x.example/ now. Then this. ")
    await release.finish()
    assert out == ["[Withheld: this part of the answer held something that could not be checked.]"]


class Opinion:
    def __init__(self, verdict):
        self.verdict = verdict

    async def judge(self, text, before):
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


WITHHELD = "[Withheld: this part of the answer held {}.]"


async def test_a_judge_can_only_tighten():
    refused = await let_out("Fine. Yes.", judge=Opinion(Verdict("withhold", "", "harm")))
    assert refused.text == WITHHELD.format("harm")
    masked = await let_out("Key sk-proj-abcdefghijklmnop0123456789.", judge=Opinion(Verdict("release", "anything")))
    assert masked.text == "Key [secret removed]."


async def test_a_judge_that_breaks_withholds():
    broken = await let_out("Fine.", judge=Opinion(RuntimeError()))
    assert broken.text == WITHHELD.format("something that could not be judged")


def test_only_the_release_makes_answer_segments():
    root = Path(agents.__file__).parent.parent
    packages = ("agents", "gateway", "a2a/a2a_bridge", "mcp_servers", "runs", "conversations", "toolbus", "signalbox")
    paths = [path for package in packages for path in (root / package).rglob("*.py")]
    assert [path.relative_to(root).as_posix() for path in paths if makes_segments(path)] == ["agents/release.py"]


def makes_segments(path):
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return any(getattr(called, "id", getattr(called, "attr", "")) == "AnswerSegment" for called in calls)
