"""An application served over real HTTP on this machine, in a thread of the test's process."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


def free_address() -> tuple[str, int]:
    """Return a URL of this machine that nobody serves yet, and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return f"http://127.0.0.1:{port}", port


@contextmanager
def served(application: Callable[..., Any], port: int) -> Iterator[None]:
    """Serve until the block ends."""
    config = uvicorn.Config(application, port=port, log_level="error", timeout_graceful_shutdown=1)
    runner = uvicorn.Server(config)
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    while not runner.started:
        time.sleep(0.01)
    yield
    runner.should_exit = True
    thread.join(5)
