"""One HTTP client a loop, which the calls to models' endpoints share, and what a failed call may cost."""

import asyncio
from weakref import WeakKeyDictionary

import httpx

SHOWN = 500  # characters of a reply that an operator sees

# The request had been sent when these came: the endpoint may have worked on it.
SENT = (httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError, TimeoutError)

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()


def http_client() -> httpx.AsyncClient:
    """Return the client of the loop that runs."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = httpx.AsyncClient()
    return _clients[loop]


def may_be_billed(error: BaseException) -> bool:
    """Tell whether nobody knows what a failed call costs: it was given up or cut off after it had been sent."""
    return isinstance(error, asyncio.CancelledError) or isinstance(error.__cause__, SENT)
