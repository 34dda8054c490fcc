"""Ports that are free, and who has those that are not."""

import errno
import socket

import psutil

from kowai.errors import CannotStart


def require_free(host: str, port: int, variable: str) -> None:
    """Raise CannotStart when nobody could listen on `host`:`port`; `variable` is what chooses another."""
    fault = fault_of(host, port)
    if fault is None:
        return
    taken = f"is taken by {who_listens(port)}" if fault.errno == errno.EADDRINUSE else f"cannot be used: {fault}"
    raise CannotStart(f"Port {port} on {host} {taken}. Stop that, or choose another: {variable}={port + 10} kowai up")


def free_port() -> int:
    """Return a loopback port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fault_of(host: str, port: int) -> OSError | None:
    """Return why nobody could listen on `host`:`port`, None when somebody could."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def who_listens(port: int) -> str:
    """Name the program that listens on `port`, as far as this user may see it."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            here = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if here and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return "another program"
