"""Who asks, and on whose behalf: principals, delegation chains, and the short-lived tokens that carry them.

A token is minted for one audience with a key of that audience alone, so a server can verify what was meant
for it and can mint nothing for anyone else. The claims follow RFC 8693 (`sub`, nested `act`).
"""

import hashlib
import hmac
import time
from collections.abc import Iterable
from typing import Any

import jwt
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from signalbox.errors import NotAuthenticated

EVERYONE = "everyone"
_ISSUER = "signalbox"
_ALGORITHM = "HS256"


class Principal(BaseModel):
    """A person or a service that asks, with the groups and scopes that decide what it may see and do."""

    model_config = ConfigDict(frozen=True)

    user: str
    groups: frozenset[str] = frozenset()
    tenant: str = "default"
    scopes: frozenset[str] = frozenset()

    @property
    def subjects(self) -> frozenset[str]:
        """The names by which access labels may mean this principal: `everyone`, `user:…`, `group:…`."""
        return frozenset({EVERYONE, f"user:{self.user}", *(f"group:{group}" for group in self.groups)})


class Chain(BaseModel):
    """A principal and the agents acting for it, outermost first."""

    model_config = ConfigDict(frozen=True)

    principal: Principal
    actors: tuple[str, ...] = ()
    release: str = Field(
        default="",
        exclude=True,
        description="The release whose policy judges them, in this process; empty: the live.",
    )

    def acting(self, actor: str) -> "Chain":
        """The same chain with one more agent at its end."""
        return self.model_copy(update={"actors": (*self.actors, actor)})


class TokenMint:
    """Mints tokens for named audiences from one master secret that never leaves this process."""

    def __init__(self, master: SecretStr) -> None:
        self._master = master

    def __repr__(self) -> str:
        return "TokenMint(…)"

    def key_for(self, audience: str) -> SecretStr:
        """The verification key to hand to that audience, and to nobody else."""
        digest = hmac.new(self._master.get_secret_value().encode(), audience.encode(), hashlib.sha256)
        return SecretStr(digest.hexdigest())

    def mint(self, chain: Chain, audience: str, *, ttl_s: float = 120) -> str:
        """A signed token that tells `audience` who asks and through which agents, valid for `ttl_s` seconds."""
        now = time.time()
        person = chain.principal
        claims: dict[str, Any] = {
            "iss": _ISSUER,
            "aud": audience,
            "sub": person.user,
            "tenant": person.tenant,
            "groups": sorted(person.groups),
            "scopes": sorted(person.scopes),
            "iat": int(now),
            "exp": int(now + ttl_s),
        }
        if chain.actors:
            claims["act"] = _nest(chain.actors)
        return jwt.encode(claims, self.key_for(audience).get_secret_value(), algorithm=_ALGORITHM)


def verify_token(token: str, *, audience: str, key: SecretStr) -> Chain:
    """The chain that a token carries; raises `NotAuthenticated` when it is foreign, forged or expired."""
    try:
        claims = jwt.decode(
            token,
            key.get_secret_value(),
            algorithms=[_ALGORITHM],
            audience=audience,
            issuer=_ISSUER,
            options={"require": ["exp", "iat", "sub", "aud"]},
        )
    except jwt.PyJWTError as error:
        raise NotAuthenticated(f"The token was refused: {error}.", hint="Ask again with a fresh token.") from error
    principal = Principal(
        user=claims["sub"],
        tenant=claims.get("tenant", "default"),
        groups=frozenset(claims.get("groups", ())),
        scopes=frozenset(claims.get("scopes", ())),
    )
    return Chain(principal=principal, actors=tuple(_unnest(claims.get("act"))))


def _nest(actors: tuple[str, ...]) -> dict[str, Any]:
    # RFC 8693 §4.1: the outermost `act` is the current actor, earlier ones are nested inside it.
    claim: dict[str, Any] = {}
    for actor in actors:
        claim = {"sub": actor, **({"act": claim} if claim else {})}
    return claim


def _unnest(claim: dict[str, Any] | None) -> Iterable[str]:
    if not claim:
        return
    yield from _unnest(claim.get("act"))
    yield claim["sub"]
