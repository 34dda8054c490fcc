"""The forked process: it takes on the run's environment and becomes the run."""

import atexit
import contextlib
import ctypes
import os
import random
import signal
import sys
import tempfile
import threading
import traceback
from typing import NoReturn

from deployments.warm import internals
from deployments.warm.protocol import Job

DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl


def become(job: Job) -> NoReturn:
    """Run the job and end the process as the interpreter would, without its slow dismantling."""
    code = 1
    try:
        enter(job)
        code = run(job)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        leave(code)


def enter(job: Job) -> None:
    """Take on session, signals, environment, folder, randomness and settings of the run."""
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if job.quiet:
        silence()
    os.chdir(job.folder if os.path.isdir(job.folder) else tempfile.gettempdir())  # hooks may outlive a scratch folder
    take_environment(job.environment)


def take_environment(environment: dict[str, str]) -> None:
    """Take on environment, path, randomness and settings that are not those of the process this one was forked from."""
    settings_differ = prefect_settings(dict(os.environ)) != prefect_settings(environment)
    os.environ.clear()
    os.environ.update(environment)
    path = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:0] = [entry for entry in path if entry not in sys.path]
    reseed()
    if settings_differ:
        internals.refresh_settings()


def prefect_settings(environment: dict[str, str]) -> dict[str, str]:
    """Return the variables that Prefect's settings are built from."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith("PREFECT_") and not name.startswith("PREFECT__")
    }


def silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def reseed() -> None:
    random.seed()
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


def run(job: Job) -> int:
    if not job.hook:
        return internals.run_engine(job.entrypoint)
    from prefect.client.schemas.objects import FlowRun, State

    run, state = FlowRun.model_validate_json(job.run), State.model_validate_json(job.state)
    internals.run_hooks(job.entrypoint, job.hook, run, state)
    return 0


def leave(code: int) -> NoReturn:
    """Join threads, run the exit functions (they send the last logs and events), flush, and go."""
    with contextlib.suppress(BaseException):
        threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code & 0xFF)
