"""HTTP for addresses that others wrote: no way into the inner network, no endless answers.

A host is resolved, its addresses are checked, and the connection goes to a checked address; so a name that resolves
differently the second time gains nothing. Redirects are followed by hand through the same check.
"""

import asyncio
import ipaddress
import socket
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

from signalbox.errors import ToolFault

USER_AGENT = "Signalbox/0.1 (knowledge ingest)"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer; header names are lower-case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class SafeFetcher:
    """Fetches public addresses, and the hosts, `host:port`s and networks that `allow` names; `async with` closes it."""

    def __init__(self, *, allow: Sequence[str] = (), max_bytes: int = 50_000_000, timeout_s: float = 30.0) -> None:
        self._hosts = frozenset(entry.lower() for entry in allow if "/" not in entry)
        self._networks = tuple(ipaddress.ip_network(entry) for entry in allow if "/" in entry)
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._session: Any = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def fetch(self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Fetched:
        """The answer at the end of at most five redirects; raises `ToolFault` where it cannot be had.

        `headers` go to the first origin only.
        """
        first = _origin(url)
        try:
            async with asyncio.timeout(self._timeout_s):
                for _ in range(_MAX_REDIRECTS + 1):
                    own = headers if _origin(url) == first else None
                    fetched = await self._once(url, method, own)
                    target = fetched.headers.get("location")
                    if fetched.status not in _REDIRECTS or not target:
                        return fetched
                    url = urljoin(url, target)
        except TimeoutError as error:
            raise ToolFault(f"{url!r} took longer than {self._timeout_s:g} s.", retryable=True) from error
        raise ToolFault(f"{url!r} redirects more than {_MAX_REDIRECTS} times.")

    async def _once(self, url: str, method: str, headers: Mapping[str, str] | None) -> Fetched:
        import aiohttp

        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ToolFault(f"{url!r} is no http or https address.")
        if parts.username or parts.password:
            raise ToolFault("An address with a user name or password in it is refused.")
        if (literal := _literal(parts.hostname)) is not None:
            self._check(parts.hostname, parts.port, literal)
        try:
            session = self._connected()
            answer = await session.request(
                method,
                url,
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", **(headers or {})},
                allow_redirects=False,
            )
        except aiohttp.ClientError as error:
            refusal = _refusal(error)
            raise refusal or ToolFault(f"{parts.hostname!r} cannot be reached: {error}.", retryable=True) from error
        except ValueError as error:
            raise ToolFault(f"{url!r} is no valid address.") from error
        try:
            body = b"" if method == "HEAD" else await self._body(answer)
        finally:
            answer.close()
        return Fetched(url, answer.status, {name.lower(): value for name, value in answer.headers.items()}, body)

    async def _body(self, answer: Any) -> bytes:
        """The content, unpacked by us so that what it unpacks to is bounded."""
        coding = answer.headers.get("Content-Encoding", "identity").lower()
        if coding not in {"identity", "gzip", ""}:
            raise ToolFault(f"The answer is packed as {coding!r}, which was not asked for.")
        unpack = zlib.decompressobj(31) if coding == "gzip" else None
        content = bytearray()
        async for part in answer.content.iter_chunked(65_536):
            try:
                content += unpack.decompress(part, self._max_bytes + 1 - len(content)) if unpack else part
            except zlib.error as error:
                raise ToolFault("The answer is damaged.", retryable=True) from error
            if len(content) > self._max_bytes:
                raise ToolFault(f"The answer is larger than {self._max_bytes // 1_000_000} MB.")
        return bytes(content)

    def _connected(self) -> Any:
        if self._session is None:
            import aiohttp

            connector = aiohttp.TCPConnector(
                resolver=_checked_resolver(self._check), limit_per_host=4, use_dns_cache=False
            )
            self._session = aiohttp.ClientSession(
                connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
        return self._session

    def _check(self, host: str, port: int | None, address: str) -> None:
        """Refuse what is not on the public internet, unless it was allowed by name or by network."""
        if host.lower() in self._hosts or f"{host.lower()}:{port}" in self._hosts:
            return
        ip = _innermost(ipaddress.ip_address(address.split("%", maxsplit=1)[0]))
        if any(ip.version == network.version and ip in network for network in self._networks):
            return
        if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified:
            raise Refused(host)


class Refused(ToolFault):
    """An address inside of our own network."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"The address of {host!r} is not on the public internet.",
            hint="Add the host to `allow` of the source if it is meant to be read.",
        )


def _checked_resolver(check: Any) -> Any:
    from aiohttp.abc import AbstractResolver
    from aiohttp.resolver import ThreadedResolver

    class Checked(AbstractResolver):
        """Resolves a name and hands out only what passes the check."""

        def __init__(self) -> None:
            self._inner = ThreadedResolver()

        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> Any:
            found = await self._inner.resolve(host, port, family)
            for entry in found:
                check(host, port, entry["host"])
            return found

        async def close(self) -> None:
            await self._inner.close()

    return Checked()


def _refusal(error: BaseException | None) -> Refused | None:
    while error is not None:
        if isinstance(error, Refused):
            return error
        error = error.__cause__ or error.__context__
    return None


def _literal(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host.split("%", maxsplit=1)[0]))
    except ValueError:
        return None


def _innermost(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 address carries, where it carries one."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped or ip.sixtofour:
            return ip.ipv4_mapped or ip.sixtofour or ip
        if ip.teredo:
            return ip.teredo[1]
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
