"""A real `chroma run`, plain and behind a proxy that speaks TLS and wants a token."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from knowledge.index.dense import DenseIndex
from knowledge.service import KnowledgeService
from knowledge.settings import ChromaSettings, RetrievalSettings
from signalbox.errors import UpstreamDown
from tests.knowledge.retrieval.helpers import ADA, BIKES, LEAVE, WordEmbedder

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.filterwarnings("ignore:.verify=<str>. is deprecated:DeprecationWarning"),  # Chroma's way to take a CA
]
_TOKEN = "x-chroma-token: let me in"


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def chroma(tmp_path: Path) -> AsyncIterator[int]:
    """The port of a server with an empty folder."""
    port = _port()
    async with _served(tmp_path / "server", port):
        yield port


@asynccontextmanager
async def _served(folder: Path, port: int) -> AsyncIterator[None]:
    program = Path(sys.executable).with_name("chroma")
    command = [program, "run", "--path", folder, "--host", "127.0.0.1", "--port", str(port)]
    server = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    async with httpx.AsyncClient() as client:
        for _ in range(300):
            try:
                if (await client.get(f"http://127.0.0.1:{port}/api/v2/heartbeat")).is_success:
                    break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    try:
        yield
    finally:
        server.terminate()
        await server.wait()


@pytest.fixture
async def guarded(chroma: int, tmp_path: Path) -> AsyncIterator[tuple[int, Path]]:
    """The port of a proxy before it, and the certificate that it shows."""
    certificate, key = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while part := await source.read(65_536):
            target.write(part)
            await target.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if _TOKEN.encode() not in head.lower():
                writer.write(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                await writer.drain()
                return
            # One request a connection, so that the token of each is looked at.
            head = head.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
            inner, outer = await asyncio.open_connection("127.0.0.1", chroma)
            outer.write(head)
            asking = asyncio.create_task(pump(reader, outer))
            await pump(inner, writer)
            asking.cancel()
            outer.close()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1], certificate
    server.close()


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chroma for tests")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return certificate, secret


async def _open(folder: Path, chroma: ChromaSettings) -> KnowledgeService:
    return await KnowledgeService.open(RetrievalSettings(chroma=chroma), folder, WordEmbedder())


async def test_two_services_share_a_server_each_under_its_tenant(chroma: int, tmp_path: Path) -> None:
    settings = ChromaSettings(url=f"http://127.0.0.1:{chroma}")
    first, second = [await _open(tmp_path / name, settings) for name in ("first", "second")]
    document, chunks, text = BIKES
    await first.store.put(*LEAVE)
    await second.store.put(document.model_copy(update={"tenant": "other"}), chunks, text)
    found = await first.search(ADA, ["parental leave"])
    assert max(hit.signals["dense"] for hit in found.hits) > 0
    other = ADA.model_copy(update={"tenant": "other"})
    assert {hit.document.title for hit in (await second.search(other, ["Heron kilograms"])).hits} == {"bikes"}
    assert (await first.search(other, ["Heron kilograms"])).hits == []
    for service in (first, second):
        assert (await service.check()).green
        await service.close()


async def test_a_proxy_with_tls_and_a_token_is_gone_through(guarded: tuple[int, Path], tmp_path: Path) -> None:
    port, certificate = guarded
    url = f"https://127.0.0.1:{port}"
    headers = {"x-chroma-token": SecretStr("let me in")}
    service = await _open(tmp_path / "data", ChromaSettings(url=url, headers=headers, ca_file=certificate))
    await service.store.put(*LEAVE)
    assert max(hit.signals["dense"] for hit in (await service.search(ADA, ["parental leave"])).hits) > 0
    assert (await service.check()).green
    await service.close()
    for refused, reason in (
        (ChromaSettings(url=url, ca_file=certificate), "refuses us"),
        (ChromaSettings(url=url, headers=headers), "certificate verify failed"),
    ):
        stranger = await _open(tmp_path / "stranger", refused)
        with pytest.raises(UpstreamDown, match=reason):
            await stranger.store.put(*BIKES)
        await stranger.close()


async def test_a_server_that_is_back_after_the_start_is_filled_without_a_restart(tmp_path: Path) -> None:
    port = _port()
    before = await _open(tmp_path / "data", ChromaSettings())
    await before.store.put(*LEAVE)
    await before.close()
    chroma = ChromaSettings(url=f"http://127.0.0.1:{port}")
    settings = RetrievalSettings(chroma=chroma, upkeep_every_s=0.2)
    service = await KnowledgeService.open(settings, tmp_path / "data", WordEmbedder())
    await service.settled()

    async def signals() -> list[float]:
        return [hit.signals["dense"] for hit in (await service.search(ADA, ["parental leave"])).hits]

    assert max(await signals()) == 0
    async with _served(tmp_path / "server", port), asyncio.timeout(20):
        while max(await signals()) == 0:
            await asyncio.sleep(0.1)
        await service.close()


async def test_a_collection_that_was_made_anew_elsewhere_is_used_without_a_restart(chroma: int, tmp_path: Path) -> None:
    settings = ChromaSettings(url=f"http://127.0.0.1:{chroma}")
    service = await _open(tmp_path / "data", settings)
    await service.settled()
    await service.store.put(*LEAVE)
    collection = (await service.index()).current
    elsewhere = DenseIndex(tmp_path / "elsewhere", settings)
    await elsewhere.drop(collection)
    assert await elsewhere.labels(collection) == {}
    await service.store.put(*BIKES)
    assert max(hit.signals["dense"] for hit in (await service.search(ADA, ["Heron kilograms"])).hits) > 0
    assert (await service.check()).missing == len(LEAVE[1])
    assert (await service.check()).green
    assert len(await elsewhere.labels(collection)) == len(LEAVE[1]) + len(BIKES[1])
    await elsewhere.close()
    await service.close()
