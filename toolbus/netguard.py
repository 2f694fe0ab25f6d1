"""HTTP to hosts that a description or a setting names, without reaching what it must not (SSRF).

Names are resolved here, every address is checked, and the connection goes to the address that was checked: a name
that answers differently the second time gains nothing. No redirects, no proxies, no cookies.
"""

import ipaddress
import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from signalbox.errors import UserFault

_CONNECT_TIMEOUT_S = 10


def guarded_session(*, allow_private: bool, headers: dict[str, str], timeout_s: float) -> aiohttp.ClientSession:
    """A session that connects to public addresses only, unless private ones are allowed."""
    resolver = _GuardedResolver(allow_private=allow_private)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=resolver, limit=32),
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=timeout_s, connect=_CONNECT_TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


def check_host(host: str, *, allow_private: bool) -> None:
    """Refuse a literal address that is not public; names are checked when they are resolved."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return
    _check_address(host, address, allow_private=allow_private)


class _GuardedResolver(AbstractResolver):
    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for item in found:
            _check_address(host, ipaddress.ip_address(item["host"]), allow_private=self._allow_private)
        return found

    async def close(self) -> None:
        await self._resolver.close()


def _check_address(host: str, address: Any, *, allow_private: bool) -> None:
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    for candidate in (address, mapped):
        if candidate is None:
            continue
        # Link-local addresses hold the metadata services of clouds: never, whatever the settings say.
        refused = candidate.is_link_local or candidate.is_multicast or candidate.is_unspecified
        if refused or (not candidate.is_global and not allow_private):
            raise UserFault(
                f"{host!r} is at the address {address}, which may not be reached.",
                hint="Set allow_private for a service of your own network.",
            )
