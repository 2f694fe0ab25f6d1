"""Figures are read as vLLM writes them."""

from dataclasses import replace

from aiohttp import web
from aiohttp.test_utils import TestServer

from inference.settings import BackendSettings
from inference.vllm.load import percentile
from inference.vllm.metrics import ServerMetrics, fetch_metrics, parse_metrics

TEXT = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 2.0
vllm:num_requests_running{engine="1",model_name="m"} 3.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 1.0
# HELP vllm:prefix_cache_queries_total Prefix cache queries.
# TYPE vllm:prefix_cache_queries_total counter
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 1000.0
# HELP vllm:prefix_cache_hits_total Prefix cache hits.
# TYPE vllm:prefix_cache_hits_total counter
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 840.0
# HELP python_gc_objects_collected_total Objects.
# TYPE python_gc_objects_collected_total counter
python_gc_objects_collected_total{generation="0"} 5.0
"""
EXPECTED = ServerMetrics(5, 1, 0, 0, 0, 1000, 840)


def test_engines_are_summed_and_what_is_not_counted_is_zero():
    assert parse_metrics(TEXT) == EXPECTED
    assert parse_metrics("") == ServerMetrics(0, 0, 0, 0, 0, 0, 0)


def test_the_share_of_hits_is_that_of_the_time_between():
    later = replace(EXPECTED, prefix_queried_tokens=2000, prefix_hit_tokens=1090)
    assert later.prefix_hit_share_since(EXPECTED) == 0.25
    assert EXPECTED.prefix_hit_share_since(EXPECTED) is None


def test_percentiles_are_by_nearest_rank():
    assert percentile([], 50) is None
    assert percentile([7.0], 95) == 7.0
    assert [percentile([float(n) for n in range(1, 101)], p) for p in (50, 95, 100)] == [50.0, 95.0, 100.0]


async def test_a_server_that_is_no_vllm_has_no_figures():
    async def metrics(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") == "Bearer secret":
            return web.Response(text=TEXT)
        return web.Response(text="up 1\n")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        assert await fetch_metrics(BackendSettings.model_validate({"base_url": url, "api_key": "secret"})) == EXPECTED
        assert await fetch_metrics(BackendSettings(base_url=url)) is None
    assert await fetch_metrics(BackendSettings(base_url=url)) is None
