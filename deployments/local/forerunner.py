"""The process that runs ahead: it imports what the others share, forks them, and is gone.

After each group of modules it forks as many processes as its arguments say, each once and at the word of the
supervisor, whose children they are: the process in between ends at once, and its child is the supervisor's then.
"""

import gc
import json
import os
import runpy
import socket
import sys
from typing import NamedTuple

from deployments.local.ahead import END, RIPE
from deployments.warm.child import take_environment
from deployments.warm.preload import PREFECT, import_all, import_packages

SERVER = ("prefect", "prefect.flow_engine", "sqlalchemy.ext.asyncio", "fastapi", "uvicorn.loops.auto", "uvicorn.main")


class Request(NamedTuple):
    """Describe a process: what `python -m` would be given, its environment, and where its output goes."""

    name: str
    arguments: list[str]
    environment: dict[str, str]
    log: str


def main() -> None:
    line = socket.socket(fileno=int(sys.argv[1]))
    requests = line.makefile("rb")
    for number, processes in enumerate(map(int, sys.argv[2:])):
        import_group(number)
        gc.collect()
        gc.freeze()  # the collector would write into every inherited page and so copy it
        line.sendall(RIPE)
        for _ in range(processes):
            request = requests.readline()
            if not request:
                return
            if fork(line):
                requests.close()
                line.close()
                return become(Request(*json.loads(request)))


def import_group(number: int) -> None:
    """Import what Prefect's server has in common with ours, and then what worker and shim share."""
    if number == 0:
        import_all(SERVER)
    else:
        import_all((*PREFECT, "prefect.workers.process"))
        import_packages(("flows",))


def fork(line: socket.socket) -> bool:
    """Return whether this is the new process; elsewhere tell its pid, or nothing where it could not be made."""
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        line.sendall(END)
        return False
    try:
        new = os.fork()
    except OSError:
        os._exit(1)
    if new:
        line.sendall(str(new).encode())
        os._exit(0)
    return True


def become(request: Request) -> None:
    """Be what `python -m` would have made, until its end."""
    os.setsid()
    output = os.open(request.log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    with open("/proc/self/comm", "w") as name:  # what `ps` and `top` show
        name.write(f"kowai {request.name}")
    take_environment(request.environment)
    take_logging()
    module, *sys.argv[1:] = request.arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def take_logging() -> None:
    """Leave logging as Prefect has set it up, for uvicorn too, which would otherwise do so after it."""
    from uvicorn.config import LOGGING_CONFIG

    LOGGING_CONFIG.clear()
    LOGGING_CONFIG.update(version=1, incremental=True)


if __name__ == "__main__":
    main()
