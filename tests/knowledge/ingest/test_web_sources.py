"""What is fetched over HTTP, from real web servers on this machine: pages, records, and nothing from inside."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import samples
from aiohttp import web
from pydantic import SecretStr

from knowledge.contracts import AccessRule
from knowledge.sources.fetch import SafeFetcher
from knowledge.sources.opening import open_source
from knowledge.sources.settings import RestSettings, WebSettings
from signalbox.errors import ToolFault

STAFF = AccessRule(allow=frozenset({"group:staff"}))


@asynccontextmanager
async def served(routes: dict[str, Any]) -> AsyncIterator[str]:
    """A web server on this machine; values are bodies, statuses, or (status, headers, body)."""

    async def answer(request: web.Request) -> web.Response:
        value = routes.get(request.path_qs, 404)
        if callable(value):
            value = value(request)
        if isinstance(value, int):
            return web.Response(status=value)
        status, headers, body = value if isinstance(value, tuple) else (200, {}, value)
        return web.Response(status=status, headers=headers, body=body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://10.1.2.3/",
        "http://192.168.0.1/",
        "http://172.16.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/",
        "http://[fd00::1]/",
        "http://[fe80::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://224.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://user:secret@example.org/",
        "file:///etc/passwd",
        "ftp://example.org/",
        "gopher://127.0.0.1/",
        "http:///nohost",
    ],
)
async def test_addresses_that_lead_inside_are_refused(url):
    async with SafeFetcher(timeout_s=3) as fetcher:
        with pytest.raises(ToolFault):
            await fetcher.fetch(url)


async def test_a_redirect_to_the_inner_network_is_refused_although_its_origin_is_allowed():
    async with served({"/secret": b"secret"}) as inner:
        port = inner.rsplit(":", maxsplit=1)[1]
        routes = {"/": (302, {"Location": f"http://localhost:{port}/secret"}, b"")}
        async with served(routes) as outer, SafeFetcher(allow=[outer.removeprefix("http://")]) as fetcher:
            with pytest.raises(ToolFault, match="not on the public internet"):
                await fetcher.fetch(f"{outer}/")


async def test_answers_are_bounded_in_size_and_redirects_also_when_packed():
    routes = {
        "/large": b"x" * 2_000_001,
        "/bomb": (200, {"Content-Encoding": "gzip"}, gzip.compress(b"\0" * 50_000_000)),
        "/loop": (302, {"Location": "/loop"}, b""),
        "/odd": (200, {"Content-Encoding": "br"}, b"x"),
        "/packed": (200, {"Content-Encoding": "gzip"}, gzip.compress(b"words")),
    }
    async with served(routes) as base, SafeFetcher(allow=["127.0.0.1"], max_bytes=2_000_000, timeout_s=4) as fetcher:
        assert (await fetcher.fetch(f"{base}/packed")).body == b"words"
        for path, expected in (
            ("large", "larger"),
            ("bomb", "larger"),
            ("loop", "redirects"),
            ("odd", "packed as 'br'"),
        ):
            with pytest.raises(ToolFault, match=expected):
                await fetcher.fetch(f"{base}/{path}")


async def test_a_secret_header_does_not_follow_a_redirect_to_another_origin():
    seen: list[str | None] = []

    def note(request: web.Request) -> bytes:
        seen.append(request.headers.get("X-Key"))
        return b"{}"

    async with (
        served({"/": note}) as other,
        served({"/": (302, {"Location": f"{other}/"}, b"")}) as first,
        SafeFetcher(allow=["127.0.0.0/8"]) as fetcher,
    ):
        await fetcher.fetch(f"{first}/", headers={"X-Key": "secret"})
    assert seen == [None]


async def test_pages_of_a_sitemap_are_taken_and_only_changed_ones_again(record, pipeline):
    routes: dict[str, Any] = {"/robots.txt": b"User-agent: *\nDisallow: /private\n", "/a": samples.HTML}
    routes["/b"] = (200, {"ETag": '"1"'}, b"<html><body><h1>Shipping</h1><p>We ship on Monday.</p></body></html>")
    routes["/private/c"] = b"<html><body><p>Not for robots.</p></body></html>"
    async with served(routes) as base:
        pages = "".join(f"<url><loc>{base}{path}</loc></url>" for path in ("/b", "/private/c", "/gone", "/skip/d"))
        listed = f"<urlset><url><loc>{base}/a</loc><lastmod>2026-01-02</lastmod></url>{pages}</urlset>"
        routes["/sitemap.xml"] = (
            f"<sitemapindex><sitemap><loc>{base}/all.xml.gz</loc></sitemap></sitemapindex>".encode()
        )
        routes["/all.xml.gz"] = gzip.compress(listed.encode())
        settings = WebSettings(
            name="site",
            sitemaps=(f"{base}/sitemap.xml",),
            exclude=("*/skip/*",),
            allow=("127.0.0.1",),
            delay_s=0,
            access=STAFF,
        )
        async with open_source(settings) as source:
            first = await pipeline.run(source)
        host = base.removeprefix("http://")
        assert record.paths() == {f"{host}/a", f"{host}/b"}
        assert record.document_at(f"{host}/a").title == "Leave policy"
        assert record.document_at(f"{host}/a").access == STAFF
        assert [entry.reason for entry in first.quarantined if "robots.txt" in entry.reason]
        routes["/b"] = (200, {"ETag": '"2"'}, b"<html><body><h1>Shipping</h1><p>We ship on Tuesday.</p></body></html>")
        async with open_source(settings) as source:
            second = await pipeline.run(source)
        assert (second.changed, second.unchanged) == (1, 1)
        assert "Tuesday" in record.text_of(f"{host}/b")


async def listed_by(sitemap: bytes) -> list[tuple[str, str]]:
    """What a site with this sitemap lists: addresses and dates."""
    async with served({"/sitemap.xml": sitemap}) as base:
        settings = WebSettings(name="site", sitemaps=(f"{base}/sitemap.xml",), allow=("127.0.0.1",), delay_s=0)
        async with open_source(settings) as source:
            return [(item.uri, item.fingerprint.removeprefix("lastmod:")) async for item in source.items()]


async def test_a_sitemap_is_read_as_xml_with_prefixes_comments_and_bare_ampersands():
    sitemap = b"""<?xml version="1.0" encoding="UTF-8"?>
        <s:urlset xmlns:s="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://example.org/image">
        <!-- <url><loc>http://a.example/draft</loc></url> -->
        <s:url><image:image><image:loc>http://a.example/photo</image:loc></image:image>
            <s:loc> http://a.example/?a=1&amp;copy=2 </s:loc><s:lastmod>2026-01-02</s:lastmod></s:url>
        <s:url><s:loc><![CDATA[http://a.example/b]]></s:loc><s:lastmod>2026-01-03</s:lastmod></s:url>
        <s:url><s:lastmod>2026-01-04</s:lastmod></s:url>
        </s:urlset>"""
    assert await listed_by(sitemap) == [
        ("http://a.example/?a=1&copy=2", "2026-01-02"),
        ("http://a.example/b", "2026-01-03"),
    ]
    bare = b"<urlset><url><loc>http://a.example/?a=1&copy=2</loc><lastmod>2026-01-02</lastmod></url></urlset>"
    assert await listed_by(bare) == [("http://a.example/?a=1&copy=2", "2026-01-02")]


@pytest.mark.parametrize(
    ("sitemap", "expected"),
    [
        (b"<url>" * 400_000, "no XML that can be read"),
        (b"<urlset>" + b"<url><loc>" * 200_000, "no XML that can be read"),
        (b"<urlset>" + b"<a/>" * 1_100_000 + b"</urlset>", "more than 1,000,000 elements"),
        (gzip.compress(b"<urlset>" + b" " * 50_000_000), "larger than 50 MB"),
        (gzip.compress(b"<urlset></urlset>")[:-4], "is damaged"),
        (
            b'<!DOCTYPE u [<!ENTITY e SYSTEM "file:///etc/passwd">]><urlset><url><loc>&e;</loc></url></urlset>',
            "declares",
        ),
        (
            '<!DOCTYPE u [<!ENTITY e "x">]><urlset><url><loc>&e;</loc></url></urlset>'.encode("utf-16"),
            "declares",
        ),
        (b"<urlset><url><loc>" + b"a" * 100_000 + b"</loc></url></urlset>", "more than 8,000 characters"),
        (b"<html><body>Please log in</html>", "no XML that can be read"),
    ],
    ids=[
        "unclosed",
        "unclosed in a list",
        "elements",
        "unpacked size",
        "cut short",
        "file entity",
        "utf-16",
        "long address",
        "no sitemap",
    ],
)
async def test_a_sitemap_that_attacks_or_breaks_is_an_error_of_the_source(sitemap, expected):
    with pytest.raises(ToolFault, match=expected):
        await listed_by(sitemap)


async def test_a_page_that_fails_for_a_while_is_kept(record, pipeline):
    routes: dict[str, Any] = {"/a": samples.HTML}
    async with served(routes) as base:
        settings = WebSettings(name="site", pages=(f"{base}/a",), allow=("127.0.0.1",), delay_s=0)
        async with open_source(settings) as source:
            await pipeline.run(source)
        routes["/a"] = 503
        async with open_source(settings) as source:
            report = await pipeline.run(source)
        assert (report.removed, len(record.documents)) == (0, 1)
        assert "version of the last run was kept" in report.warnings[0]


def _page(words: str) -> bytes:
    return f"<html><body><h1>{words}</h1><p>This page tells about {words}.</p></body></html>".encode()


async def test_what_lies_beyond_max_pages_is_kept_and_the_report_says_that_the_list_was_cut(record, pipeline):
    routes: dict[str, Any] = {f"/{name}": _page(name) for name in ("hours", "prices", "contact")}
    async with served(routes) as base:
        pages = tuple(f"{base}{path}" for path in routes)
        settings = WebSettings(name="site", pages=pages, allow=("127.0.0.1",), delay_s=0, max_pages=3)
        async with open_source(settings) as source:
            whole = await pipeline.run(source)
        # A new page in front pushes the last one out, and has its content.
        routes["/news"] = routes["/contact"]
        more = settings.model_copy(update={"pages": (f"{base}/news", *pages)})
        async with open_source(more) as source:
            report = await pipeline.run(source)
        assert (whole.taken, whole.warnings) == (3, ())
        assert (report.removed, report.moved, report.taken, report.unchanged) == (0, 0, 1, 2)
        assert {path.rpartition("/")[2] for path in record.paths()} == {"hours", "prices", "contact", "news"}
        assert [warning for warning in report.warnings if "max_pages" in warning and "3" in warning]
        async with open_source(more.model_copy(update={"max_pages": 4, "pages": pages[:2]})) as source:
            assert (await pipeline.run(source)).removed == 2


async def test_records_beyond_max_pages_of_a_rest_endpoint_are_kept(record, pipeline):
    routes: dict[str, Any] = {
        "/bikes": b'{"data": [{"id": 1, "name": "Heron"}], "next": "/bikes?page=2"}',
        "/bikes?page=2": b'{"data": [{"id": 2, "name": "Wren"}], "next": null}',
    }
    async with served(routes) as base:
        settings = RestSettings(
            name="bikes", url=f"{base}/bikes", items="data", next="next", access=STAFF, allow=("127.0.0.1",)
        )
        async with open_source(settings) as source:
            assert (await pipeline.run(source)).warnings == ()
        async with open_source(settings.model_copy(update={"max_pages": 1})) as source:
            report = await pipeline.run(source)
    assert (report.removed, record.paths()) == (0, {"1.md", "2.md"})
    assert [warning for warning in report.warnings if "max_pages" in warning]


async def test_records_of_a_rest_endpoint_are_taken_page_by_page(record, pipeline):
    def page(request: web.Request) -> tuple[int, dict[str, str], bytes]:
        if request.headers.get("X-Key") != "k":
            return 401, {}, b""
        if "page" not in request.query:
            body = b'{"data": [{"id": 1, "name": "Heron", "size": {"cm": 190}}], "next": "/bikes?page=2"}'
        else:
            body = b'{"data": [{"id": 2, "name": "Wren", "size": {"cm": 80}}, {"name": "no id"}], "next": null}'
        return 200, {"Content-Type": "application/json"}, body

    description = b'{"servers": [{"url": "/"}], "paths": {"/bikes": {"get": {"operationId": "listBikes"}}}}'
    async with served({"/bikes": page, "/bikes?page=2": page, "/openapi.json": description}) as base:
        settings = RestSettings(
            name="bikes",
            openapi_url=f"{base}/openapi.json",
            operation_id="listBikes",
            headers={"X-Key": SecretStr("k")},
            items="data",
            next="next",
            title="{name}",
            access=STAFF,
            allow=("127.0.0.1",),
        )
        async with open_source(settings) as source:
            report = await pipeline.run(source)
    assert report.taken == 2
    assert record.text_of("1.md") == "Heron\n\n- id: 1\n- name: Heron\n- size cm: 190"
