"""Libraries log as we do: JSON, a line an event, with the request it belongs to and no personal data."""

import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from deployments.local.environment import OUR_LINES
from deployments.local.processes import cause_of_death
from deployments.logs import Lines
from kowai.correlation import correlated

SERVED = """
import logging
import prefect.main
from prefect import get_run_logger, flow

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        logging.getLogger("uvicorn.error").error("carmen@canary.example called")
        logging.getLogger("prefect.server").warning("two\\nlines")
        logging.getLogger("some.package").warning("[red]%s :tea: %s[/red]", "x" * 300, "ends")
        raise ZeroDivisionError("at start")
"""


def line(**more: Any) -> dict[str, Any]:
    record = logging.LogRecord("prefect.worker", logging.WARNING, __file__, 1, "run %s", ("begins",), None)
    record.__dict__.update(more)
    return json.loads(Lines().format(record))


def test_a_line_says_who_logged_it_and_which_request_and_run_it_belongs_to() -> None:
    with correlated("support-case-0815.c"):
        told = line(flow_run_id="0b1c")
    known = {name: told[name] for name in ("event", "level", "logger", "request_id", "flow_run_id")}
    assert known == {
        "event": "run begins",
        "level": "warning",
        "logger": "prefect.worker",
        "request_id": "support-case-0815.c",
        "flow_run_id": "0b1c",
    }
    assert told["timestamp"].endswith("+00:00")


def test_a_line_of_prefects_own_names_the_request_that_its_run_was_started_by() -> None:
    run = FlowRun(flow_id=uuid4(), tags=["answers", "request:support-case-0815.d"])
    with FlowRunContext.model_construct(flow_run=run):
        assert line()["request_id"] == "support-case-0815.d"
    assert "request_id" not in line()


def test_a_traceback_is_part_of_its_line_and_personal_data_is_masked() -> None:
    try:
        raise ValueError("carmen@canary.example was refused")
    except ValueError:
        told = line(exc_info=sys.exc_info(), msg="for carmen@canary.example", args=())
    assert "ValueError" in told["exception"]
    assert "canary.example" not in json.dumps(told)


def test_uvicorn_and_prefect_write_nothing_else_also_when_they_fail(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(SERVED)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = (sys.executable, "-m", "uvicorn", "served:app", "--port", str(port), "--lifespan", "on")
    path = os.pathsep.join((str(tmp_path), *sys.path))
    surroundings = os.environ | OUR_LINES | {"PYTHONPATH": path, "PREFECT_LOGGING_COLORS": "false"}
    surroundings |= {"PYTHONWARNINGS": "ignore", "PREFECT_HOME": str(tmp_path), "PREFECT_SERVER_LOGGING_LEVEL": "INFO"}
    ended = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=120, check=False)
    told = [json.loads(each) for each in (ended.stdout + ended.stderr).splitlines()]
    assert {"uvicorn.error", "prefect.server", "some.package"} <= {each["logger"] for each in told}
    assert "canary.example" not in ended.stderr
    assert "two\nlines" in [each["event"] for each in told]
    assert any("ZeroDivisionError: at start" in each["event"] + each.get("exception", "") for each in told)


def test_a_cause_of_death_is_found_in_a_line_of_json(tmp_path: Path) -> None:
    log = tmp_path / "shim.log"
    told = {"event": "it broke", "level": "error", "exception": "Traceback ...\nValueError: no such port"}
    log.write_text(json.dumps(told) + "\n")
    assert cause_of_death(log, 0) == "ValueError: no such port"


@pytest.mark.parametrize("told", ['["event"]', "7", '{"no": 1}', "FATAL: plain"])
def test_what_is_no_event_is_read_as_it_is(tmp_path: Path, told: str) -> None:
    log = tmp_path / "postgres.log"
    log.write_text(told)
    assert cause_of_death(log, 0) == told
