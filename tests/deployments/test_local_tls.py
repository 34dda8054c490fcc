"""`kowai up --tls`: the certificate is checked before the start, and our own clients trust it alone."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deployments.commands.options import keep_tls
from deployments.local import environment, probes
from deployments.local.certificates import keep_certificate, tls_arguments, trusting
from deployments.local.layout import Layout, make_folders
from deployments.local.ports import free_port
from kowai.errors import CannotStart
from kowai.settings import Settings

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: kowai\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def make_pair(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kowai.example.org")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(*plain))
    return paths


def secured(certificate: Path | None, key: Path | None, port: int = 8100) -> Settings:
    return Settings(tls_certificate=certificate, tls_key=key, port=port)  # pyright: ignore[reportCallIssue]


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    make_folders(Layout(tmp_path))
    return Layout(tmp_path)


async def hello(scope: object, receive: object, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def serve(app: Any, chosen: Settings) -> tuple[uvicorn.Server, asyncio.Task[None]]:
    """Serve an application as `kowai up --tls` does, but without a bound on how long its end may take."""
    files: Any = dict(zip(("ssl_certfile", "ssl_keyfile", "http", "ws"), tls_arguments(chosen)[1::2], strict=True))
    server = uvicorn.Server(uvicorn.Config(app, port=chosen.port, lifespan="off", log_level="error", **files))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    return server, serving


def asking(place: Layout, port: int, request: bytes = b"GET / HTTP/1.1\r\nHost: kowai\r\n\r\n") -> ssl.SSLSocket:
    """Send a request over a connection that is then kept, by a client that does not look at it any more."""
    context = trusting(place.certificate)
    assert isinstance(context, ssl.SSLContext)
    kept = context.wrap_socket(socket.create_connection(("127.0.0.1", port)))
    kept.sendall(request)
    return kept


@pytest.mark.timeout(25)  # a client is given 30 seconds to say goodbye
async def test_the_end_does_not_wait_for_clients_that_keep_their_connection(place: Layout, tmp_path: Path) -> None:
    chosen, go_on = secured(*make_pair(tmp_path, "ours"), free_port()), asyncio.Event()
    begun = asyncio.Event()

    async def slow(scope: object, receive: object, send: Any) -> None:
        if begun.is_set():
            await go_on.wait()
        begun.set()
        await hello(scope, receive, send)

    keep_certificate(place, chosen)
    server, serving = await serve(slow, chosen)
    idle = await asyncio.to_thread(asking, place, chosen.port)
    assert (await asyncio.to_thread(idle.recv, 1_000)).startswith(b"HTTP/1.1 200")
    busy = await asyncio.to_thread(asking, place, chosen.port)
    while len(server.server_state.tasks) == 0:
        await asyncio.sleep(0.02)
    server.should_exit = True
    await asyncio.sleep(0.5)
    go_on.set()
    assert (await asyncio.to_thread(busy.recv, 1_000)).startswith(b"HTTP/1.1 200")
    await serving
    idle.close()
    busy.close()


async def test_a_socket_is_served_and_its_client_holds_up_no_end_by_saying_nothing(
    place: Layout, tmp_path: Path
) -> None:
    chosen = secured(*make_pair(tmp_path, "ours"), free_port())

    async def echo(scope: object, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (heard := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": heard["text"]})

    keep_certificate(place, chosen)
    server, serving = await serve(echo, chosen)
    kept = await asyncio.to_thread(asking, place, chosen.port, UPGRADE)
    assert (await asyncio.to_thread(kept.recv, 1_000)).startswith(b"HTTP/1.1 101")
    await asyncio.to_thread(kept.sendall, b"\x81\x82\0\0\0\0hi")  # a masked frame of text (RFC 6455, section 5.2)
    assert await asyncio.to_thread(kept.recv, 1_000) == b"\x81\x02hi"
    server.should_exit = True
    async with asyncio.timeout(15):  # asyncio and uvloop would give it 30 seconds
        await serving
    kept.close()


async def test_our_own_clients_reach_the_certificate_they_were_given_and_no_other(
    place: Layout, tmp_path: Path
) -> None:
    certificate, key = make_pair(tmp_path, "ours")
    chosen = secured(certificate, key, free_port())
    keep_certificate(place, chosen)
    server, serving = await serve(hello, chosen)
    url = environment.shim_url(chosen)
    other, _ = make_pair(tmp_path, "other")
    assert url == f"https://127.0.0.1:{chosen.port}"
    assert await asyncio.to_thread(probes.answers, url, trusted=place.certificate)
    assert not await asyncio.to_thread(probes.answers, url)
    assert not await asyncio.to_thread(probes.answers, url, trusted=other)
    with pytest.raises(httpx.ConnectError):
        await asyncio.to_thread(httpx.get, url, verify=trusting(other))
    server.should_exit = True
    await serving


def test_a_pair_that_does_not_fit_is_refused_before_anything_starts(place: Layout, tmp_path: Path) -> None:
    certificate, key = make_pair(tmp_path, "one")
    _, stranger = make_pair(tmp_path, "two")
    for pair in ((certificate, stranger), (key, certificate), (tmp_path / "absent", key)):
        with pytest.raises(CannotStart, match="cannot be used for TLS"):
            keep_certificate(place, secured(*pair))
    with pytest.raises(CannotStart, match="belong together"):
        keep_certificate(place, secured(certificate, None))
    assert not place.certificate.exists()


def test_a_key_behind_a_password_is_refused_and_not_asked_for(place: Layout, tmp_path: Path) -> None:
    certificate, key = make_pair(tmp_path, "one")
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    hidden = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    key.write_bytes(loaded.private_bytes(*hidden, serialization.BestAvailableEncryption(b"secret")))
    with pytest.raises(CannotStart, match="without a password"):
        keep_certificate(place, secured(certificate, key))


def test_starting_without_tls_forgets_the_certificate(place: Layout, tmp_path: Path) -> None:
    keep_certificate(place, secured(*make_pair(tmp_path, "one")))
    assert place.certificate.exists()
    keep_certificate(place, secured(None, None))
    assert not place.certificate.exists()
    assert trusting(place.certificate) is True


def test_the_option_reaches_the_settings_as_absolute_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KOWAI_TLS_CERTIFICATE", "")
    monkeypatch.setenv("KOWAI_TLS_KEY", "")
    monkeypatch.chdir(tmp_path)
    keep_tls((Path("a.pem"), Path("a.key")))
    assert Settings().tls_certificate == tmp_path / "a.pem"  # pyright: ignore[reportCallIssue]
