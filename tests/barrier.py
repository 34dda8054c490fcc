"""A barrier around the tests: nothing that they start can reach, or pay, a model beyond this machine."""

import ipaddress
import os
import re
import socket
import sys
from collections.abc import MutableMapping
from typing import Any

# Names of keys, and of addresses that a client would take from the environment.
PAID = re.compile(
    r"_API_?KEY$|_(API|AUTH|ACCESS|SESSION|SECURITY)_TOKEN$|_(ACCESS|SECRET)_KEY(_ID)?$|_CREDENTIALS$|_AUTH_STRING$"
    r"|^(HF|HUGGINGFACE|HUGGING_FACE_HUB|REPLICATE|GITHUB|GH|DATABRICKS|WATSONX)_?(API_)?TOKEN$"
    r"|_(BASE_URL|API_BASE|API_URL|ENDPOINT)$|^OLLAMA_HOST$"
)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
NOBODY = "http://127.0.0.1:9"  # the discard port, where nobody listens
HERE = "localhost,127.0.0.1,::1"


class Barred(OSError):
    """A test wanted to leave this machine."""


def strip(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Take keys and addresses away and send what honours proxies, children too, to nobody; return what was there."""
    before = dict(environment)
    for name in [name for name in environment if PAID.search(name.upper())]:
        del environment[name]
    for name in PROXIES:
        environment[name] = environment[name.lower()] = NOBODY
    environment["NO_PROXY"] = environment["no_proxy"] = HERE
    return before


def raise_barrier() -> None:
    """Let this process connect to itself only, for as long as it lives: audit hooks (PEP 578) cannot be removed."""
    sys.addaudithook(_look)


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        connection, address = arguments
        if connection.family in (socket.AF_INET, socket.AF_INET6) and address and not _is_here(address[0]):
            raise Barred(f"Tests may not leave this machine, and one wanted to reach {address[0]}.")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0]
        if not _is_here(host) and _number(host) is None:  # to read a number asks nobody
            raise Barred(f"Tests may not leave this machine, and one wanted to look up {host}.")


def _is_here(host: str | None) -> bool:
    if not host or host in ("localhost", socket.gethostname()):
        return True
    address = _number(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is, as C reads it: 127.1 is one."""
    try:
        return ipaddress.ip_address(host if ":" in host else socket.inet_aton(host))
    except (ValueError, OSError):
        return None


OUTSIDE = strip(os.environ)
