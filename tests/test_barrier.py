"""Nothing in the tests can reach, or pay, a model beyond this machine."""

import os
import socket
import subprocess
import sys
import urllib.request

import httpx
import pytest
from dspy import lm15

from blocks.discovery import PROVIDERS, keyed_targets
from blocks.engines import AsyncFailover
from tests.barrier import NOBODY, OUTSIDE, PAID, PROXIES, Barred, strip

ENDPOINTS = [provider.endpoint for provider in PROVIDERS]
CHILD = """
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=20)
except urllib.error.URLError as error:
    print(type(error.reason).__name__)
"""


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_paid_model_is_out_of_reach(endpoint: str) -> None:
    with pytest.raises(httpx.ConnectError, match="leave this machine"):
        httpx.get(endpoint, trust_env=False)
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(endpoint)


async def test_the_engines_cannot_reach_one_even_with_a_key_and_without_proxies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name)
        monkeypatch.delenv(name.lower())
    question = lm15.Request(model="any", messages=(lm15.Message.user("Who are you?"),))
    for target in keyed_targets({provider.key: "sk-real" for provider in PROVIDERS}):
        with pytest.raises(lm15.TransportError, match="leave this machine"):
            await AsyncFailover([target]).complete(question)


@pytest.mark.parametrize("address", [("8.8.8.8", 53), ("169.254.169.254", 80), ("2001:4860:4860::8888", 53)])
def test_an_address_beyond_this_machine_is_refused_without_a_name(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as attempt, pytest.raises(Barred):
            attempt.connect(address)
    with socket.socket(family, socket.SOCK_DGRAM) as attempt, pytest.raises(Barred):
        attempt.sendto(b"hello", address)


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_child_process_is_sent_to_a_proxy_where_nobody_listens(endpoint: str) -> None:
    ran = subprocess.run([sys.executable, "-c", CHILD, endpoint], capture_output=True, text=True)
    assert ran.stdout.strip() == "ConnectionRefusedError"
    assert urllib.request.proxy_bypass("127.0.0.1")


def test_what_fetches_packages_gets_the_environment_as_it_was_in_workers_of_pytest_too() -> None:
    assert NOBODY not in OUTSIDE.values()


def test_no_key_is_left_to_pay_with() -> None:
    assert keyed_targets(os.environ) == []
    assert [name for name in os.environ if PAID.search(name) and name not in ("PREFECT_API_URL",)] == []


@pytest.mark.parametrize(
    "name",
    [
        *(provider.key for provider in PROVIDERS),
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AZURE_API_KEY",
        "AZURE_OPENAI_ENDPOINT",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "HF_TOKEN",
        "OPENAI_BASE_URL",
        "OPENROUTER_API_KEY",
        "XAI_API_KEY",
        "OLLAMA_HOST",
    ],
)
def test_the_keys_of_providers_are_taken_out_of_the_environment(name: str) -> None:
    environment = {name: "secret", "HOME": "/root"}
    assert strip(environment)[name] == "secret"
    assert name not in environment
    assert environment["HOME"] == "/root"
