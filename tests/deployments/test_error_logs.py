"""What breaks is logged with its traceback, and without what the tenant said."""

import httpx
import pytest
from fastapi import FastAPI

from deployments.shim.errors import add_error_handlers


async def test_the_traceback_of_a_broken_request_holds_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    app = FastAPI()
    add_error_handlers(app)

    @app.get("/")
    async def fail() -> None:
        said = "".join(["my ", "secret"])
        raise ZeroDivisionError(len(said))

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shim") as api:
        assert (await api.get("/")).status_code == 500
    logged = capsys.readouterr().out
    assert "ZeroDivisionError" in logged
    assert "my secret" not in logged
