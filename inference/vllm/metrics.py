"""What a vLLM says about itself under `/metrics`: how much is under way, and how much came from its prefix cache."""

from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from inference.backends.credentials import KeySource, TlsSource
from inference.settings import BackendSettings

_TIMEOUT = aiohttp.ClientTimeout(total=5)


@dataclass(frozen=True)
class ServerMetrics:
    """Gauges as they are now, counters since the server's start; summed over its engines."""

    running: int
    waiting: int
    cache_used_share: float
    prompt_tokens: int
    generated_tokens: int
    prefix_queried_tokens: int
    prefix_hit_tokens: int

    def prefix_hit_share_since(self, earlier: "ServerMetrics") -> float | None:
        """Which share of the prompts since then came from the cache; None where there were no prompts."""
        queried = self.prefix_queried_tokens - earlier.prefix_queried_tokens
        return (self.prefix_hit_tokens - earlier.prefix_hit_tokens) / queried if queried > 0 else None


def parse_metrics(text: str) -> ServerMetrics:
    """Read the Prometheus text; what a server does not count is 0."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith("vllm:"):
            for sample in family.samples:
                sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return ServerMetrics(
        running=int(sums.get("vllm:num_requests_running", 0)),
        waiting=int(sums.get("vllm:num_requests_waiting", 0)),
        cache_used_share=sums.get("vllm:kv_cache_usage_perc", 0),
        prompt_tokens=int(sums.get("vllm:prompt_tokens_total", 0)),
        generated_tokens=int(sums.get("vllm:generation_tokens_total", 0)),
        prefix_queried_tokens=int(sums.get("vllm:prefix_cache_queries_total", 0)),
        prefix_hit_tokens=int(sums.get("vllm:prefix_cache_hits_total", 0)),
    )


async def fetch_metrics(backend: BackendSettings) -> ServerMetrics | None:
    """Ask a backend; None where it does not answer, or is no vLLM."""
    key = KeySource(backend.api_key, backend.api_key_file)
    tls = TlsSource(backend.tls, used=backend.base_url.startswith("https://"))
    await key.refresh()
    await tls.refresh()
    connector = aiohttp.UnixConnector(str(backend.unix_socket)) if backend.unix_socket else None
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, headers=key.header) as http,
            http.get(f"{backend.base_url}/metrics", ssl=tls.context, allow_redirects=False) as response,
        ):
            text = await response.text()
            return parse_metrics(text) if response.status == 200 and "vllm:" in text else None
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
