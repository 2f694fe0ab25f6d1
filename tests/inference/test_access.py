"""Between us and a model server: keys that rotate while we run, certificates in both directions, sockets."""

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from aiohttp import web
from autogen_core.models import UserMessage
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from signalbox.errors import UpstreamDown
from tests.inference.peer import Peer

ASK = [UserMessage(content="Hello?", source="user")]


async def test_a_wrong_key_is_said_and_never_shown(peer, make_models, scope):
    peer.api_key = "right"
    models = make_models(base_url=peer.url, model="test-model", api_key="sk-wrong")
    with pytest.raises(UpstreamDown, match="it refuses our API key") as caught:
        await models.client("direct", scope).create(ASK)
    assert "sk-wrong" not in str(caught.value)
    assert "inference.api_key" in str(caught.value)
    assert len(peer.requests) == 1


async def test_a_key_rotates_without_a_restart_or_a_lost_call(peer, make_models, scope, tmp_path):
    file = tmp_path / "key"
    file.write_text("first\n")
    peer.api_key = "first"
    client = make_models(base_url=peer.url, model="test-model", api_key_file=str(file)).client("direct", scope)
    assert (await client.create(ASK)).content == "Hello from the peer."
    file.write_text("the second\n")
    peer.api_key = "the second"
    assert (await client.create(ASK)).content == "Hello from the peer."
    sent = [r.headers["Authorization"] for r in peer.requests]
    assert (sent[0], sent[-1]) == ("Bearer first", "Bearer the second")
    file.unlink()  # as some secret stores do for a moment
    assert (await client.create(ASK)).content == "Hello from the peer."


async def test_a_key_file_that_is_missing_is_named(peer, make_models, scope, tmp_path):
    models = make_models(base_url=peer.url, model="test-model", api_key_file=str(tmp_path / "nokey"))
    with pytest.raises(UpstreamDown, match="nokey"):
        await models.client("direct", scope).create(ASK)


async def test_a_server_may_listen_on_a_socket_file(make_models, scope, tmp_path):
    peer = Peer()
    app = web.Application()
    app.router.add_post("/{path:.*}", peer._post)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "vllm.sock")).start()
    try:
        backend = {"base_url": "http://vllm", "unix_socket": str(tmp_path / "vllm.sock")}
        models = make_models(backends=[backend], models={"m": {"served_name": "test-model"}})
        assert (await models.client("direct", scope).create(ASK)).content == "Hello from the peer."
        await models.close()
    finally:
        await runner.cleanup()


class Authority:
    """Issues certificates for the tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self._certificate = self._signed(self._name, self._key, constraints)
        self.file = folder / "ca.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> Path:
        """A file with a certificate for 127.0.0.1 and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._signed(subject, key, x509.BasicConstraints(ca=False, path_length=None))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self._folder / f"{name}.pem"
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
        return file

    def _signed(self, subject, key, constraints):
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(constraints, critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(self._key, hashes.SHA256())
        )


async def test_mtls_admits_us_and_nobody_without_a_certificate(make_models, scope, tmp_path):
    authority = Authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.file))
    context.load_cert_chain(authority.issue("server"))
    context.verify_mode = ssl.CERT_REQUIRED
    peer = await Peer().start(tls=context)
    try:
        settings = {"base_url": peer.url, "model": "test-model", "retries": {"backoff_s": 0}}
        ours = {"ca_file": str(authority.file), "certificate_file": str(authority.issue("signalbox"))}
        known = make_models(**settings, tls=ours).client("direct", scope)
        assert (await known.create(ASK)).content == "Hello from the peer."
    finally:
        await peer.stop()


@pytest.mark.parametrize("tls", ["no certificate", "no authority"])
async def test_without_the_right_files_no_request_arrives(make_models, registry, scope, tmp_path, tls):
    authority = Authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.file))
    context.load_cert_chain(authority.issue("server"))
    context.verify_mode = ssl.CERT_REQUIRED
    peer = await Peer().start(tls=context)
    ours = {"ca_file": str(authority.file)} if tls == "no certificate" else {}
    try:
        models = make_models(base_url=peer.url, model="test-model", tls=ours, retries={"backoff_s": 0})
        with pytest.raises(UpstreamDown, match="does not answer"):
            await models.client("direct", scope).create(ASK)
        assert peer.requests == []
        await models.close()
    finally:
        await peer.stop()


async def test_a_certificate_file_that_is_missing_is_named(make_models, scope, tmp_path):
    tls = {"ca_file": str(tmp_path / "nothing.pem")}
    models = make_models(base_url="https://127.0.0.1:9", model="test-model", tls=tls)
    with pytest.raises(UpstreamDown, match=r"nothing\.pem"):
        await models.client("direct", scope).create(ASK)
