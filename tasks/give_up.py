"""Give up vector spaces that do not become the current one, so that others can be built."""

from sqlalchemy import text

from blocks.connections import database
from kowai import spaces
from tasks.spaces import StoredSpace
from tasks.step import step


@step
async def retire_space(space: StoredSpace) -> None:
    """Give up a space being built, so that another can be; `begin_space` takes it up again, `drop_spaces` drops it."""
    async with (await database()).platform_transaction() as connection:
        await connection.execute(text(spaces.RETIRE), {"id": space.id})


@step
async def abandon_spaces() -> int:
    """Give up what was being built by a run that is gone, or begun by nobody who came to it in a day; tell how many.

    What waits for money is kept.
    """
    async with (await database()).platform_transaction() as connection:
        return (await connection.execute(text(spaces.ABANDON), {"waiting_too": False})).rowcount
