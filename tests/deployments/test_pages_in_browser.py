"""The pages work in a real browser under the policies they are sent with."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.deployments.conftest import Shim

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "chromium")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("path", "drawn"), [("/", '<option value="assistant">assistant</option>'), ("/docs", "Read Audit")]
)
async def test_a_page_draws_what_its_scripts_fetch(shim: Shim, tmp_path: Path, path: str, drawn: str) -> None:
    how = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}")
    wait = ("--virtual-time-budget=10000", "--enable-logging=stderr", "--dump-dom")
    browser = await asyncio.create_subprocess_exec(
        CHROMIUM, *how, *wait, f"{shim.url}{path}", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    page, said = await browser.communicate()
    assert drawn in page.decode()
    assert "Content Security Policy" not in said.decode()
