"""What a flow run's process finds imported already, and which files that code came from."""

import importlib
import os
import pkgutil
import site
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

from deployments.logs import configure
from deployments.warm import internals

PREFECT = (
    "prefect.engine",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.task_runners",
    "prefect.events.clients",
    "prefect.logging.handlers",
    "prefect.concurrency.context",
    "prefect.runner._hook_runner",
    "prefect._internal.metrics",
    "prefect.utilities.visualization",
    "rich._emoji_codes",
    "anyio._backends._asyncio",
    "websockets.asyncio.client",
)


def preload(modules: Sequence[str]) -> None:
    """Import everything a run needs; a module that fails says so here and again in the run that needs it."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")
    import_all(PREFECT)
    import_packages(modules)
    configure()
    internals.share_tls_context()
    internals.retry_soon()


def import_packages(names: Sequence[str]) -> None:
    """Import packages with the modules in them."""
    import_all(names)
    for name in names:
        found = pkgutil.iter_modules(getattr(sys.modules.get(name), "__path__", ()))
        import_all(f"{name}.{module.name}" for module in found)


def import_all(names: Iterable[str]) -> None:
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            sys.stderr.write(f"{name} cannot be imported before a fork: {type(error).__name__}: {error}\n")


def sources() -> dict[str, int]:
    """Return each imported file outside the installed libraries with its time of change (Unix nanoseconds)."""
    paths = sysconfig.get_paths()
    installed = (*(paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")), *site.getsitepackages())
    files = {getattr(module, "__file__", None) for module in tuple(sys.modules.values())}
    ours = (file for file in files if file and not file.startswith(installed))
    return {file: changed for file in ours if (changed := changed_at(file))}


def changed_at(file: str) -> int:
    """Return a file's time of change (Unix nanoseconds); 0 when there is none."""
    try:
        return Path(file).stat().st_mtime_ns
    except OSError:
        return 0
