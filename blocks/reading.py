"""The reader: documents of any format, one at a time and within limits, whatever they do to their parser."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kowai import errors
from kowai.errors import DocumentTooLarge, ReaderCrashed, ReaderTimeout
from kowai.loaders import Limits
from kowai.reading import read
from kowai.sniffing import choose
from kowai.types import LoadedDocument

ROOT = Path(__file__).resolve().parents[1]


class Reader:
    """Read plain text in a thread and everything else in warm child processes, which come back when they die.

    `seconds` is the time and `memory_bytes` the address space (Linux) one document may take, of which a child that
    has read nothing yet takes 62 MB; a child reads `documents_per_child` documents at most. Usable from any event loop.
    """

    def __init__(
        self,
        limits: Limits = Limits(),
        *,
        children: int = 2,
        seconds: float = 120.0,
        memory_bytes: int = 512 << 20,
        documents_per_child: int = 100,
    ) -> None:
        self._limits = limits
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._documents_per_child = documents_per_child
        self._threads = ThreadPoolExecutor(children, "reader")
        self._own = threading.local()  # each thread has its own child
        self._children: set[_Child] = set()

    async def read(
        self, data: bytes, name: str, *, media_type: str | None = None, charset: str | None = None
    ) -> LoadedDocument:
        """Return the document that `data` is. Raises a DocumentError that says what is wrong with it."""
        if len(data) > self._limits.max_bytes:
            raise DocumentTooLarge.beyond(name, self._limits.max_bytes)
        if not data.startswith(b"PK") and not choose(data, name, media_type).isolated:
            return await asyncio.to_thread(
                read, data, name, media_type=media_type, charset=charset, limits=self._limits
            )
        request = {"name": name, "media_type": media_type, "charset": charset, "size": len(data)}
        request |= {"limits": self._limits, "seconds": self._seconds}
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, request, data)

    def close(self) -> None:
        """Wait for the documents being read and end the children."""
        self._threads.shutdown(cancel_futures=True)
        for child in self._children.copy():
            self._end(child)

    def _read(self, request: dict[str, Any], data: bytes) -> LoadedDocument:
        child = self._child()
        unused = child.served == 0
        try:
            return child.read(request, data)
        except ReaderCrashed:
            if unused:
                raise
            return self._child().read(request, data)  # an earlier document may have broken the child

    def _child(self) -> "_Child":
        """Return the thread's child, or a new one for a child that is dead or has read its share."""
        child: _Child | None = getattr(self._own, "child", None)
        if child is not None and not child.is_gone() and child.served < self._documents_per_child:
            return child
        if child is not None:
            self._end(child)
        child = self._own.child = _Child(self._memory_bytes)
        self._children.add(child)
        return child

    def _end(self, child: "_Child") -> None:
        self._children.discard(child)
        child.end()


class _Child:
    """Speak with one process of `blocks.reading_child`."""

    def __init__(self, memory_bytes: int) -> None:
        self.served = 0
        command = [sys.executable, "-B", "-P", "-m", "blocks.reading_child", str(memory_bytes)]
        environment = {"PYTHONPATH": str(ROOT), "PATH": os.defpath, "PYTHONUTF8": "1"}
        self._process = subprocess.Popen(  # noqa: S603 -- nothing in the command comes from outside
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the parent
        )

    def read(self, request: dict[str, Any], data: bytes) -> LoadedDocument:
        reply = json.loads(self._ask(json.dumps(request).encode() + b"\n", data) or self._obituary(request))
        self.served += 1
        if "document" in reply:
            return LoadedDocument.model_validate(reply["document"])
        raise getattr(errors, reply["error"])(reply["sentence"], operator=reply["operator"])

    def is_gone(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _ask(self, line: bytes, data: bytes) -> bytes:
        """Return the reply, or nothing if the process ends first."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except BrokenPipeError:
            return b""
        return self._process.stdout.readline()

    def _obituary(self, request: dict[str, Any]) -> bytes:
        name, code = request["name"], self._process.wait()
        if code == -signal.SIGALRM:
            seconds = request["seconds"]
            raise ReaderTimeout(f"{name} could not be read within {seconds:g} seconds: split or simplify it.")
        sentence = f"{name} makes its reader crash or run out of memory: split it, or export it in another format."
        raise ReaderCrashed(sentence, operator=f"the reading process ended with {code}")
