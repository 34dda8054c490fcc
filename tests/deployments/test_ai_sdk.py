"""The Vercel AI SDK holds a cited conversation with KowAI, whole and streamed."""

import asyncio
import json
import subprocess

import pytest

from tests import node_packages
from tests.deployments.conftest import Shim

pytestmark = [pytest.mark.node, pytest.mark.slow]


async def test_the_ai_sdk_holds_a_cited_conversation(shim: Shim) -> None:
    folder = await asyncio.to_thread(node_packages.installed)
    command = ["node", "conversation.mjs", f"{shim.url}/v1", shim.key]
    ran = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    for way in ("whole", "streamed"):
        for turn, expected in zip(said[way], ["three minutes", "five minutes"], strict=True):
            assert expected in turn["text"]
            assert expected in turn["citations"][0]["quote"]
    assert [turn["text"] for turn in said["streamed"]] == [turn["text"] for turn in said["whole"]]
    assert all(turn["pieces"] > 1 and turn["reason"] == "stop" for turn in said["streamed"])
    assert said["dimensions"] == 384
    assert said["refused"]["status"] == 404
    assert "choose one of" in said["refused"]["message"]
