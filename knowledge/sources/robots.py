"""What a site lets robots read, and how fast."""

import asyncio
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

from knowledge.sources.fetch import USER_AGENT, SafeFetcher
from signalbox.errors import ToolFault

_MAX_DELAY_S = 10.0


class Robots:
    """Asks each origin once; a site without rules allows all, one that fails allows nothing."""

    def __init__(self, fetcher: SafeFetcher, *, respect: bool, delay_s: float) -> None:
        self._fetcher = fetcher
        self._respect = respect
        self._delay_s = delay_s
        self._rules: dict[str, RobotFileParser] = {}
        self._next: dict[str, float] = {}

    async def admit(self, url: str) -> None:
        """Wait for this site's turn; raises `ToolFault` where its rules forbid the page."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        delay = self._delay_s
        if self._respect:
            rules = await self._rules_of(origin)
            if not rules.can_fetch(USER_AGENT, url):
                raise ToolFault(f"The robots.txt of {origin!r} does not allow to read it.")
            delay = max(delay, min(float(rules.crawl_delay(USER_AGENT) or 0), _MAX_DELAY_S))
        now = asyncio.get_running_loop().time()
        start = max(now, self._next.get(origin, now))
        self._next[origin] = start + delay
        await asyncio.sleep(start - now)

    async def _rules_of(self, origin: str) -> RobotFileParser:
        if origin not in self._rules:
            rules = RobotFileParser()
            fetched = await self._fetcher.fetch(f"{origin}/robots.txt")
            if fetched.status == 200:
                rules.parse(fetched.body[:500_000].decode("utf-8", "replace").splitlines())
            else:
                rules.parse([] if 400 <= fetched.status < 500 else ["User-agent: *", "Disallow: /"])
            self._rules[origin] = rules
        return self._rules[origin]
