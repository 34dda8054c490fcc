"""Processes of their own, which a test may kill: forks of one that has imported the flows already."""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.process import BaseProcess

from kowai.settings import settings

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["flows.run_personas", "flows.run_team", "flows.reindex", "tests.flows.conftest"])


def forked(function: Callable[..., None], *given: object) -> BaseProcess:
    """Call a module's function in a new process, in the environment of this one."""
    process = CONTEXT.Process(target=_call, args=(dict(os.environ), function, given))
    process.start()
    return process


def _call(environment: dict[str, str], function: Callable[..., None], given: tuple[object, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    settings.cache_clear()
    function(*given)
