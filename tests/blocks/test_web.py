import asyncio
import datetime
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from blocks import web
from blocks.web import Fetched, FetchLimits, NotModified, fetch
from kowai.errors import DocumentTooLarge, FetchFailed, FetchRefused, FetchRejected, FetchTimeout

Answer = Callable[[str, dict[str, str]], bytes | Awaitable[bytes]]


def response(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


def redirect(location: str) -> bytes:
    return response(status="302 Found", location=location)


@asynccontextmanager
async def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Answer real HTTP requests on a free loopback port and give its host:port."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        answered = answer(request.split()[1], headers)
        writer.write(answered if isinstance(answered, bytes) else await answered)
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def only(*hosts: str, **limits: int | float) -> FetchLimits:
    return FetchLimits(allowed_hosts=frozenset(hosts))._replace(**limits)


async def fetched(answer: bytes, **limits: int | float) -> Fetched | NotModified:
    async with serving(lambda path, headers: answer) as host:
        return await fetch(f"http://{host}/page?key=secret", limits=only(host, **limits))


async def test_a_document_comes_with_what_the_server_says_about_it() -> None:
    answer = response(
        b"<p>hi", content_type="Text/HTML; charset=utf-8", etag='"1"', last_modified="Tue, 01 Jul 2025 10:00:00 GMT"
    )
    async with serving(lambda path, headers: answer) as host:
        assert await fetch(f"http://{host}/a", limits=only(host)) == Fetched(
            b"<p>hi", "text/html", f"http://{host}/a", '"1"', "Tue, 01 Jul 2025 10:00:00 GMT", "utf-8"
        )


async def test_a_document_that_has_not_changed_is_not_sent_again() -> None:
    def answer(path: str, headers: dict[str, str]) -> bytes:
        fresh = headers.get("if-none-match") == '"1"' or headers.get("if-modified-since") == "then"
        return response(status="304 Not Modified") if fresh else response(b"new")

    async with serving(answer) as host:
        url = f"http://{host}/"
        assert await fetch(url, limits=only(host), etag='"1"') == NotModified(url)
        assert await fetch(url, limits=only(host), last_modified="then") == NotModified(url)
        assert isinstance(await fetch(url, limits=only(host), etag='"0"'), Fetched)


async def test_compressed_documents_are_unpacked() -> None:
    document = await fetched(response(gzip.compress(b"hello"), content_encoding="gzip"))
    assert isinstance(document, Fetched)
    assert document.data == b"hello"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/a",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "javascript:alert(1)",
        "//example.org/a",
        "/etc/passwd",
        "http://",
        "http:///path",
        "http://user:secret@example.org/",
        "http://user@example.org/",
        "http://exa mple.org/",
        "http://example.org:99999/",
        "http://example.org:0/",
        "http://0177.0.0.1/",
        "http://[fe80::1%25eth0]/",
        "http://xn--a b/",
        "http://[::1/",
        "",
    ],
)
async def test_what_is_not_a_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(FetchRefused) as refused:
        await fetch(url)
    assert "secret" not in refused.value.sentence


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",
        "localhost",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[ff02::1]",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_addresses_off_the_public_internet_are_refused(scheme: str, host: str) -> None:
    with pytest.raises(FetchRefused, match=r"public internet|secrets"):
        await fetch(f"{scheme}://{host}/latest/meta-data")


async def test_what_tells_a_machine_its_secrets_is_refused_although_private_addresses_are_allowed() -> None:
    with pytest.raises(FetchRefused, match="secrets"):
        await fetch("http://169.254.169.254/latest/meta-data", limits=FetchLimits(allow_private=True))


async def test_allowing_one_host_allows_no_other_port() -> None:
    async with serving(lambda path, headers: response(b"x")) as host:
        with pytest.raises(FetchRefused):
            await fetch(f"http://{host}/", limits=only("127.0.0.1:1"))
        assert isinstance(await fetch(f"http://{host}/", limits=FetchLimits(allow_private=True)), Fetched)


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.2/",
        "http://169.254.169.254/latest",
        "//[::1]/",
        "http://localhost/",
        "file:///etc/passwd",
        "ftp://x/",
    ],
)
async def test_redirects_to_private_addresses_or_other_schemes_are_refused(target: str) -> None:
    with pytest.raises(FetchRefused):
        await fetched(redirect(target))


async def test_redirects_are_followed_and_the_final_url_is_told() -> None:
    def answer(path: str, headers: dict[str, str]) -> bytes:
        return {"/a": redirect("b/c"), "/b/c": redirect("/d?x=1")}.get(path, response(path.encode()))

    async with serving(answer) as host:
        document = await fetch(f"http://{host}/a", limits=only(host))
    assert isinstance(document, Fetched)
    assert (document.data, document.final_url) == (b"/d?x=1", f"http://{host}/d?x=1")


async def test_at_most_five_redirects_are_followed() -> None:
    def answer(path: str, headers: dict[str, str]) -> bytes:
        left = int(path[1:])
        return redirect(f"/{left - 1}") if left else response(b"arrived")

    async with serving(answer) as host:
        assert isinstance(await fetch(f"http://{host}/5", limits=only(host)), Fetched)
        with pytest.raises(FetchRefused, match="redirect"):
            await fetch(f"http://{host}/6", limits=only(host))


async def test_a_name_is_connected_to_the_address_that_was_checked() -> None:
    """A second look-up would find another address, as in DNS rebinding; there is none."""
    seen: list[str] = []
    lookups: list[str] = []

    def answer(path: str, headers: dict[str, str]) -> bytes:
        seen.append(headers["host"])
        return response(b"pinned")

    async with serving(answer) as host:
        port = host.split(":")[1]

        async def resolver(name: str, port: int) -> list[str]:
            lookups.append(name)
            return ["127.0.0.1"] if len(lookups) == 1 else ["10.0.0.1"]

        document = await fetch(f"http://docs.example:{port}/", limits=only(f"docs.example:{port}"), resolver=resolver)
    assert isinstance(document, Fetched)
    assert (document.data, seen, lookups) == (b"pinned", [f"docs.example:{port}"], ["docs.example"])


async def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    async def resolver(name: str, port: int) -> list[str]:
        return ["93.184.215.14", "10.0.0.1"]

    with pytest.raises(FetchRefused) as refused:
        await fetch("http://docs.example/", resolver=resolver)
    assert "10.0.0.1" not in refused.value.sentence
    assert "10.0.0.1" in (refused.value.operator or "")


async def test_the_next_address_of_a_name_is_tried_when_one_does_not_answer() -> None:
    async with serving(lambda path, headers: response(b"second")) as host:
        port = host.split(":")[1]

        async def resolver(name: str, port: int) -> list[str]:
            return ["127.0.0.3", "127.0.0.1"]

        limits = only(f"docs.example:{port}")
        document = await fetch(f"http://docs.example:{port}/", limits=limits, resolver=resolver)
    assert isinstance(document, Fetched)


async def test_a_certificate_must_be_for_the_name_and_not_for_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = certified("docs.example", tmp_path)
    monkeypatch.setattr(web, "_trusted", lambda: ssl.create_default_context(cafile=str(tmp_path / "cert.pem")))
    async with serving(lambda path, headers: response(b"secure"), context) as host:
        port = host.split(":")[1]

        async def resolver(name: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        limits = only(f"docs.example:{port}", f"other.example:{port}")
        assert isinstance(await fetch(f"https://docs.example:{port}/", limits=limits, resolver=resolver), Fetched)
        with pytest.raises(FetchFailed, match="could not be fetched"):
            await fetch(f"https://other.example:{port}/", limits=limits, resolver=resolver)


def certified(name: str, folder: Path) -> ssl.SSLContext:
    """Return a server context with a new certificate for `name`, left in `folder`/cert.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@pytest.mark.parametrize(
    ("status", "error", "retryable"),
    [
        ("500 Internal Server Error", FetchFailed, True),
        ("503 Service Unavailable", FetchFailed, True),
        ("408 Request Timeout", FetchFailed, True),
        ("425 Too Early", FetchFailed, True),
        ("429 Too Many Requests", FetchFailed, True),
        ("400 Bad Request", FetchRejected, False),
        ("401 Unauthorized", FetchRejected, False),
        ("404 Not Found", FetchRejected, False),
        ("410 Gone", FetchRejected, False),
        ("204 No Content", FetchRejected, False),
        ("301 Moved Permanently", FetchRejected, False),
        ("599 <script>", FetchFailed, True),
    ],
)
async def test_an_error_status_says_whether_asking_again_can_help(
    status: str, error: type[FetchFailed], retryable: bool
) -> None:
    with pytest.raises(FetchFailed, match=status[:3]) as failed:
        await fetched(response(status=status))
    assert type(failed.value) is error
    assert failed.value.retryable is retryable
    assert "secret" not in failed.value.sentence
    assert "script" not in failed.value.sentence


async def test_a_document_larger_than_allowed_is_not_received() -> None:
    with pytest.raises(DocumentTooLarge):
        await fetched(response(b"x" * 2000), max_bytes=1000)
    unannounced = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + b"x" * 2000
    with pytest.raises(DocumentTooLarge):
        await fetched(unannounced, max_bytes=1000)


async def test_a_document_that_unpacks_to_more_than_allowed_is_given_up() -> None:
    packed = gzip.compress(bytes(10_000_000))
    with pytest.raises(DocumentTooLarge):
        await fetched(response(packed, content_encoding="gzip"), max_bytes=1_000_000)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "x-unheard-of"])
async def test_encodings_that_were_not_asked_for_are_refused(encoding: str) -> None:
    with pytest.raises(FetchRejected, match="encoding"):
        await fetched(response(b"x", content_encoding=encoding))


async def test_a_server_that_does_not_answer_in_time_is_a_timeout() -> None:
    async def never(path: str, headers: dict[str, str]) -> bytes:
        await asyncio.sleep(5)
        return b""

    async with serving(lambda path, headers: never(path, headers)) as host:
        with pytest.raises(FetchTimeout, match=r"within 0\.3 seconds") as late:
            await fetch(f"http://{host}/", limits=only(host, seconds=0.3))
    assert late.value.retryable


async def test_a_name_that_is_not_resolved_in_time_is_a_timeout() -> None:
    async def resolver(name: str, port: int) -> list[str]:
        await asyncio.sleep(5)
        return []

    with pytest.raises(FetchTimeout):
        await fetch("http://docs.example/", limits=FetchLimits(seconds=0.1), resolver=resolver)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n",
        redirect("http://["),
    ],
)
async def test_a_broken_answer_is_a_failure_that_may_pass(answer: bytes) -> None:
    with pytest.raises(FetchFailed, match="could not be fetched"):
        await fetched(answer)


async def test_a_server_that_is_not_there_or_has_no_address_is_a_failure_that_may_pass() -> None:
    async with serving(lambda path, headers: b"") as host:
        pass
    with pytest.raises(FetchFailed):
        await fetch(f"http://{host}/", limits=only(host))

    async def nowhere(name: str, port: int) -> list[str]:
        return []

    with pytest.raises(FetchFailed):
        await fetch("http://docs.example/", resolver=nowhere)
    for name in ("no-such-host.invalid", "a" * 64 + ".example", "x..example"):
        with pytest.raises((FetchFailed, FetchRefused)):
            await fetch(f"http://{name}/")


async def test_resolving_gives_addresses() -> None:
    assert all(ip_address(address).is_loopback for address in await web.resolve("localhost", 80))
