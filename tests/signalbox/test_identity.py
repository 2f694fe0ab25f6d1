"""Tokens carry who asks to one audience, and to no other."""

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from signalbox.errors import NotAuthenticated
from signalbox.identity import EVERYONE, Chain, Principal, TokenMint, verify_token

names = st.text(min_size=1, max_size=20)
ADA = Principal(user="ada", groups=frozenset({"staff", "operations"}), tenant="acme", scopes=frozenset({"admin"}))


@pytest.fixture
def mint() -> TokenMint:
    return TokenMint(SecretStr("m" * 64))


@given(user=names, groups=st.frozensets(names), tenant=names, actors=st.lists(names, max_size=4))
def test_a_chain_survives_the_journey(user: str, groups: frozenset[str], tenant: str, actors: list[str]) -> None:
    mint = TokenMint(SecretStr("m" * 64))
    chain = Chain(principal=Principal(user=user, groups=groups, tenant=tenant), actors=tuple(actors))
    token = mint.mint(chain, "mcp:desk")
    assert verify_token(token, audience="mcp:desk", key=mint.key_for("mcp:desk")) == chain


def test_a_token_of_one_audience_is_refused_by_another(mint: TokenMint) -> None:
    token = mint.mint(Chain(principal=ADA), "mcp:desk")
    with pytest.raises(NotAuthenticated):
        verify_token(token, audience="mcp:knowledge", key=mint.key_for("mcp:knowledge"))
    with pytest.raises(NotAuthenticated):
        verify_token(token, audience="mcp:knowledge", key=mint.key_for("mcp:desk"))


def test_a_server_cannot_mint_for_another_with_its_own_key(mint: TokenMint) -> None:
    own = mint.key_for("mcp:desk").get_secret_value()
    claims = {"iss": "signalbox", "aud": "mcp:knowledge", "sub": "ada", "iat": 0, "exp": 2**33}
    forged = jwt.encode(claims, own, algorithm="HS256")
    with pytest.raises(NotAuthenticated):
        verify_token(forged, audience="mcp:knowledge", key=mint.key_for("mcp:knowledge"))


@pytest.mark.parametrize("ttl_s", [0, -60])
def test_an_expired_token_is_refused(mint: TokenMint, ttl_s: float) -> None:
    token = mint.mint(Chain(principal=ADA), "mcp:desk", ttl_s=ttl_s)
    with pytest.raises(NotAuthenticated, match="expired"):
        verify_token(token, audience="mcp:desk", key=mint.key_for("mcp:desk"))


def test_a_token_without_signature_is_refused(mint: TokenMint) -> None:
    claims = {"iss": "signalbox", "aud": "mcp:desk", "sub": "ada", "iat": 0, "exp": 2**33}
    unsigned = jwt.encode(claims, "", algorithm="none")
    with pytest.raises(NotAuthenticated):
        verify_token(unsigned, audience="mcp:desk", key=mint.key_for("mcp:desk"))


def test_access_labels_mean_the_user_their_groups_and_everyone() -> None:
    assert ADA.subjects == {EVERYONE, "user:ada", "group:staff", "group:operations"}


def test_the_mint_shows_no_secret(mint: TokenMint) -> None:
    assert "mmm" not in repr(mint) + str(mint.key_for("mcp:desk"))
