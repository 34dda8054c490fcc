"""One HTTP client a loop, which the calls to models' endpoints share."""

import asyncio
from weakref import WeakKeyDictionary

import httpx

SHOWN = 500  # characters of a reply that an operator sees

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()


def http_client() -> httpx.AsyncClient:
    """Return the client of the loop that runs."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = httpx.AsyncClient()
    return _clients[loop]
