"""Prefect on SQLite serves the workers of one computer: a second one is refused."""

import socket

from prefect.variables import Variable

from kowai.errors import CannotStart

VARIABLE = "kowai_sqlite_host"


async def keep_to_one_host(*, embedded: bool) -> None:
    """Note in Prefect whose SQLite it lives in, if it is the embedded one. Raises CannotStart on any other computer."""
    own = socket.gethostname()
    if embedded:
        await Variable.aset(VARIABLE, own, overwrite=True)
        return
    home = await Variable.aget(VARIABLE)
    if home not in (None, own):
        raise CannotStart(
            f"This Prefect server keeps its data in SQLite on {home}, so only that computer may have a worker. "
            "For more, give Prefect a PostgreSQL database, as infra/compose.yaml does, "
            "and point PREFECT_API_URL of every worker at it."
        )
