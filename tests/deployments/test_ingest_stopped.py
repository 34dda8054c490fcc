"""Ctrl-C leaves `kowai ingest` at once, and says what goes on without it."""

import asyncio
import signal
import sys
from pathlib import Path


async def test_ctrl_c_says_what_goes_on_and_waits_for_nobody(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Otters hold hands.")
    asked = asyncio.Event()

    async def never_reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await asyncio.Event().wait()

    server = await asyncio.start_server(never_reply, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    command = (sys.executable, "-m", "deployments.cli", "ingest", str(tmp_path / "a.md"), "--url", url, "--key", "k")
    sending = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    await asked.wait()
    sending.send_signal(signal.SIGINT)
    _, err = await sending.communicate()
    server.close()
    assert sending.returncode == 130
    assert err.startswith(b"Stopped: what was sent goes on being indexed")
