"""A token is used again only for whom it was minted, and only while it lives long enough."""

import jwt
from pydantic import SecretStr

from signalbox.identity import Chain, Principal, TokenMint, verify_token
from toolbus.tokens import Tokens

SECRET = SecretStr("a master secret of thirty-two bytes")
MINT = TokenMint(SECRET)
ADA = Chain(principal=Principal(user="ada", groups=frozenset({"staff"})), actors=("orchestrator", "data"))


class Counting(TokenMint):
    """Says how often it minted."""

    minted = 0

    def mint(self, chain: Chain, audience: str, *, ttl_s: float = 120) -> str:
        self.minted += 1
        return super().mint(chain, audience, ttl_s=ttl_s)


def test_a_chain_has_one_token_while_it_outlives_the_call():
    now, mint = [0.0], Counting(SECRET)
    tokens = Tokens(mint, "mcp:data", ttl_s=120, clock=lambda: now[0])
    first = tokens.of(ADA, at_least_s=30)
    now[0] = 90
    assert tokens.of(ADA, at_least_s=30) == first
    assert mint.minted == 1
    now[0] = 90.5
    tokens.of(ADA, at_least_s=30)
    assert mint.minted == 2


def test_a_long_call_gets_a_token_that_lives_as_long():
    tokens = Tokens(MINT, "mcp:data", ttl_s=120)
    claims = jwt.decode(tokens.of(ADA, at_least_s=400), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] in (400, 401)


def test_another_person_another_agent_and_another_group_have_tokens_of_their_own():
    tokens = Tokens(MINT, "mcp:data", ttl_s=120)
    others = [
        ADA.acting("deeper"),
        ADA.model_copy(update={"principal": Principal(user="bruno", groups=frozenset({"staff"}))}),
        ADA.model_copy(update={"principal": Principal(user="ada", groups=frozenset({"staff", "board"}))}),
        ADA.model_copy(update={"principal": Principal(user="ada", groups=frozenset({"staff"}), tenant="other")}),
    ]
    key = MINT.key_for("mcp:data")
    for chain in [ADA, *others]:
        assert verify_token(tokens.of(chain, at_least_s=30), audience="mcp:data", key=key) == chain
