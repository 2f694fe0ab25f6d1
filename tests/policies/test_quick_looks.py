"""The quick looks that rule most texts out may rule out nothing that the careful ones would find."""

from hypothesis import given
from hypothesis import strategies as st

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
