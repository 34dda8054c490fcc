"""Whether a call that failed may be billed all the same."""

import asyncio

import httpx
from dspy import lm15

# Public in lm15, not re-exported by DSPy, whose version is pinned exactly.
from dspy._vendor.lm15.transports import ProtocolError, ReadError

UNANSWERED = (asyncio.CancelledError, lm15.TimeoutError, lm15.StreamAssemblyError)
CUT = (ReadError, ProtocolError, httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError, TimeoutError)


def may_be_billed(error: BaseException) -> bool:
    """Tell whether the request had been sent and nobody knows what became of it: no reply came, or half of one."""
    return isinstance(error, UNANSWERED) or isinstance(error.__cause__, CUT)
