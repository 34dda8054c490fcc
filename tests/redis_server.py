"""A real Redis that keeps nothing on disk."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
import redis

from blocks import shared_cache
from kowai.settings import settings


class RedisServer:
    """Run on a free port of loopback from `start` until `stop`, which kills it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.client = redis.Redis(port=self.port)
        self.start()

    def start(self) -> None:
        options = ("--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", str(self.folder))
        self.process = subprocess.Popen(("redis-server", *options), stdout=subprocess.DEVNULL)
        while True:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                assert self.process.poll() is None
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @contextmanager
    def pointed_at(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Self]:
        """Let this process use it until the block ends."""
        monkeypatch.setenv("KOWAI_REDIS_URL", f"redis://127.0.0.1:{self.port}/0")
        monkeypatch.setattr(shared_cache, "PATIENCE_SECONDS", 10.0)  # a busy machine is no failure
        settings.cache_clear()
        yield self
        self.stop()
