"""The quick looks that rule most texts out may rule out nothing that the careful ones would find."""

from hypothesis import given
from hypothesis import strategies as st

from agents.review import credentials
from agents.review.leaks import LeakCheck
from agents.review.verdict import Surroundings
from policies import sensitive

FRAGMENTS = st.sampled_from(
    """PRIVATE KEY|AKIA|ASIA|ghp_|GHO_|ghu_|ghs_|ghr_|github_pat_|glpat-|xoxb-|XOXZ-|rk_|sk_|sk-|sb_|sbx_|AIza|hf_|npm_
    pypi-|SG.|private-key|private_key|privatekey|refresh_token|authtoken|session-token|AccountKey|SharedAccessKey|eyJ|bearer
    Bearer x|://a@|://user:pass@|passw|pwd|api_key|API-KEY|apikey|secret|access_token|\u017fk-|\u212aey""".replace(
        "\n", "|"
    ).split("|")
)


@given(st.text(max_size=20), FRAGMENTS, st.text(max_size=20))
def test_what_the_hint_finds_the_quick_look_lets_through(before, fragment, after):
    text = (before + fragment + after).ljust(sensitive._SHORTEST_SECRET, ".")
    if sensitive._SECRET_HINT.search(text):
        assert sensitive.may_hold_secrets(text)


@given(st.text(st.sampled_from("ab ._-") | st.characters(), max_size=30), FRAGMENTS, st.booleans())
def test_looking_for_anchors_by_the_sign_in_them_finds_what_looking_for_each_does(text, fragment, with_it):
    lower = sensitive.folded(text + (fragment if with_it else ""))
    anchors = {*sensitive._ANCHORS, *(each for some in sensitive._ANCHORS_BY_SIGN.values() for each in some)}
    assert sensitive._holds_anchor(lower) == any(anchor in lower for anchor in anchors)


@given(st.text(st.sampled_from("0189 ab٣\u00b2") | st.characters(), max_size=60))
def test_digits_are_counted_as_the_expression_counts_them(text):
    assert credentials._digits(text) == len(credentials._DIGIT.findall(text))


WORDS = st.lists(st.sampled_from(["you", "plan", "the", "house", "that", "never", "sleeps"]), max_size=30)


@given(WORDS, WORDS)
def test_a_recital_is_found_wherever_it_stands(prompt, said):
    def runs(words):
        return {tuple(words[at : at + 9]) for at in range(len(words) - 8)}

    found = LeakCheck("", [" ".join(prompt)])(" ".join(said), Surroundings()).action == "withhold"
    assert found == bool(runs(prompt) & runs(said))
