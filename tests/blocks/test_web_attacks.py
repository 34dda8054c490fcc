"""Tricks that make a fetcher ask inside its own network: none of them reaches the server that listens there."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

import pytest

from blocks.web import Fetched, FetchLimits, NotModified, fetch
from kowai.errors import FetchFailed, FetchRefused
from tests.blocks.test_web import redirect, response, serving

PUBLIC = "93.184.215.14"

HOSTS = {
    "plain": "127.0.0.1",
    "another loopback": "127.8.9.10",
    "zero": "0.0.0.0",
    "short zero": "0",
    "short": "127.1",
    "three parts": "127.0.1",
    "decimal": "2130706433",
    "decimal with more bits": "6425673729",
    "hexadecimal": "0x7f000001",
    "dotted hexadecimal": "0x7f.0x0.0x0.0x1",
    "mixed bases": "0x7f.0.0.01",
    "octal": "0177.0.0.1",
    "long octal": "00000177.0.0.1",
    "octal number": "017700000001",
    "leading zeros": "127.000.000.001",
    "trailing dot": "127.0.0.1.",
    "name": "localhost",
    "capitals": "LOCALHOST",
    "name with trailing dot": "localhost.",
    "subdomain of localhost": "kowai.localhost",
    "full-width digits": "１２７.０.０.１",
    "circled digits": "①②⑦.⓪.⓪.①",
    "mathematical digits": "𝟏𝟐𝟕.𝟎.𝟎.𝟏",
    "ideographic full stop": "127。0。0。1",
    "half-width full stop": "127｡0｡0｡1",
    "letters in circles": "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "full-width name": "ｌｏｃａｌｈｏｓｔ",
    "soft hyphen": "local\u00adhost",
    "zero-width space": "local\u200bhost",
    "long s": "localhoſt",
    "percent-encoded": "%31%32%37.0.0.1",
    "percent-encoded dots": "127%2e0%2e0%2e1",
    "twice percent-encoded": "%2531%32%37.0.0.1",
    "IPv6": "[::1]",
    "long IPv6": "[0:0:0:0:0:0:0:1]",
    "padded IPv6": "[0000::0001]",
    "unspecified IPv6": "[::]",
    "IPv4-mapped": "[::ffff:127.0.0.1]",
    "IPv4-mapped in hexadecimal": "[::ffff:7f00:1]",
    "long IPv4-mapped": "[0:0:0:0:0:ffff:7f00:1]",
    "IPv4-compatible": "[::127.0.0.1]",
    "IPv4-translated": "[::ffff:0:127.0.0.1]",
    "NAT64": "[64:ff9b::127.0.0.1]",
    "local NAT64": "[64:ff9b:1::127.0.0.1]",
    "6to4": "[2002:7f00:1::]",
    "Teredo": "[2001:0:7f00:1::]",
    "ISATAP": "[fe80::5efe:127.0.0.1]",
    "zone id": "[fe80::1%25lo]",
    "zone id on loopback": "[::1%25lo]",
    "unescaped zone id": "[::1%lo]",
    "IPv6 without brackets": "::1",
    "future address": "[v1.::1]",
}
ELSEWHERE = {
    "metadata": "169.254.169.254",
    "metadata in decimal": "2852039166",
    "metadata in hexadecimal": "0xa9fea9fe",
    "metadata in octal": "0251.0376.0251.0376",
    "metadata, mapped": "[::ffff:169.254.169.254]",
    "metadata by NAT64": "[64:ff9b::a9fe:a9fe]",
    "Amazon's over IPv6": "[fd00:ec2::254]",
    "containers' credentials": "169.254.170.2",
    "Alibaba's": "100.100.100.200",
    "Azure's": "168.63.129.16",
    "Oracle's": "192.0.0.192",
    "private": "10.0.0.1",
    "shared by carriers": "100.64.0.1",
    "unique local": "[fc00::1]",
    "site-local": "[fec0::1]",
    "multicast": "224.0.0.1",
    "broadcast": "255.255.255.255",
}
URLS = {
    "user name": "http://{host}@{public}:{port}/",
    "host behind a user name": "http://{public}@{host}/",
    "host behind a password": "http://user:{public}@{host}/",
    "two user names": "http://a@{public}@{host}/",
    "backslash": "http://{public}\\@{host}/",
    "fragment": "http://{public}#@{host}/",
    "query": "http://{public}?@{host}/",
    "line break": "http://{host}/\r\nHost: {public}",
    "tab in the host": "http://127.0\t.0.1:{port}/",
    "blank before": " http://{host}/",
    "many slashes": "http:////{host}/",
    "no slashes": "http:{host}/",
    "scheme in capitals": "HTTP://{host}/",
    "no scheme": "//{host}/",
    "gopher": "gopher://{host}/_GET",
    "dict": "dict://{host}/info",
    "file": "file://{host}/etc/passwd",
    "ftp": "ftp://{host}/",
    "jar": "jar:http://{host}!/x",
    "data": "data:text/plain,x",
    "unix socket": "http+unix://%2Ftmp%2Fx/",
    "port with a blank": "http://127.0.0.1 :{port}/",
    "port twice": "http://127.0.0.1:{port}:80/",
    "null byte": "http://127.0.0.1\x00.example:{port}/",
}
ANSWERS = {
    "rebinding to loopback": ["127.0.0.1"],
    "one public, one private": [PUBLIC, "127.0.0.1"],
    "private first": ["127.0.0.1", PUBLIC],
    "loopback over IPv6": ["::1"],
    "mapped": ["::ffff:127.0.0.1"],
    "NAT64": ["64:ff9b::7f00:1"],
    "6to4": ["2002:7f00:1::"],
    "zone id": ["fe80::1%lo"],
    "metadata": ["169.254.169.254"],
    "unspecified": ["0.0.0.0"],
}


class Inside(NamedTuple):
    """Be a server that nobody may reach, and know how often somebody did."""

    host: str
    reached: list[str]

    @property
    def port(self) -> str:
        return self.host.partition(":")[2]


@pytest.fixture
async def inside() -> AsyncIterator[Inside]:
    reached: list[str] = []

    def answer(path: str, headers: dict[str, str]) -> bytes:
        reached.append(path)
        return response(b"secret")

    async with serving(answer) as host:
        yield Inside(host, reached)


async def try_to_fetch(url: str, limits: FetchLimits = FetchLimits(seconds=5)) -> Fetched | NotModified | None:
    with suppress(FetchRefused, FetchFailed):
        return await fetch(url, limits=limits)
    return None


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
async def test_no_way_to_write_an_address_reaches_inside(inside: Inside, host: str) -> None:
    for url in (f"http://{host}:{inside.port}/", f"HTTP://{host}:{inside.port}"):
        assert await try_to_fetch(url) is None
    assert inside.reached == []


@pytest.mark.parametrize("host", ELSEWHERE.values(), ids=ELSEWHERE)
async def test_no_way_to_write_it_asks_a_cloud_or_a_neighbour(host: str) -> None:
    with pytest.raises(FetchRefused):
        await fetch(f"http://{host}/latest/meta-data/", limits=FetchLimits(seconds=5))


@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
async def test_no_way_to_write_a_url_reaches_inside(inside: Inside, url: str) -> None:
    async def resolver(name: str, port: int) -> list[str]:
        return [name.strip("[]")]

    written = url.format(host=inside.host, port=inside.port, public="192.0.2.1")
    with pytest.raises((FetchRefused, FetchFailed)):
        await fetch(written, limits=FetchLimits(seconds=2), resolver=resolver)
    assert inside.reached == []


@pytest.mark.parametrize("addresses", ANSWERS.values(), ids=ANSWERS)
async def test_no_answer_of_a_name_server_reaches_inside(inside: Inside, addresses: list[str]) -> None:
    async def resolver(name: str, port: int) -> list[str]:
        return addresses

    with pytest.raises(FetchRefused):
        await fetch(f"http://rebind.example:{inside.port}/", limits=FetchLimits(seconds=5), resolver=resolver)
    assert inside.reached == []


async def test_a_name_that_resolves_differently_a_moment_later_gains_nothing(inside: Inside) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]])

    async def resolver(name: str, port: int) -> list[str]:
        return next(answers)

    async def first(name: str, port: int) -> list[str]:
        return ["127.0.0.1"] if name == "start.example" else await resolver(name, port)

    async with serving(lambda path, headers: redirect(f"http://rebind.example:{inside.port}/")) as host:
        port = host.partition(":")[2]
        limits = FetchLimits(seconds=2, allowed_hosts=frozenset({f"start.example:{port}"}))
        for _ in range(3):
            with pytest.raises((FetchRefused, FetchFailed)):
                await fetch(f"http://start.example:{port}/", limits=limits, resolver=first)
    assert inside.reached == []


@pytest.mark.parametrize("host", [*HOSTS.values(), *ELSEWHERE.values()], ids=[*HOSTS, *ELSEWHERE])
async def test_no_redirect_reaches_inside(inside: Inside, host: str) -> None:
    target = f"http://{host}:{inside.port}/".encode("utf-8", "ignore").decode("latin-1")
    async with serving(lambda path, headers: redirect_to(target)) as start:
        limits = FetchLimits(seconds=5, allowed_hosts=frozenset({start}))
        with pytest.raises((FetchRefused, FetchFailed)):
            await fetch(f"http://{start}/", limits=limits)
    assert inside.reached == []


def redirect_to(target: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n".encode("latin-1")


async def test_the_tricks_are_real_where_private_addresses_are_allowed(inside: Inside) -> None:
    for host in HOSTS.values():
        await try_to_fetch(f"http://{host}:{inside.port}/", FetchLimits(seconds=5, allow_private=True))
    assert len(inside.reached) >= 10
