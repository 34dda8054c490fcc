"""The vector spaces that the store holds: which is current, and which embedder block makes its vectors."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.compiled import Compiled
from blocks.connections import NAME, database
from blocks.embedder import Space
from kowai import spaces
from kowai.errors import SpaceMismatch

CURRENT = Compiled(text(spaces.CURRENT))
OPEN = text("select open_space(:model, :dimensions)")


class StoredSpace(NamedTuple):
    """Hold a space's row: its vectors are made by the block `embedder`; a `restored` one was current before."""

    id: int
    public_id: UUID
    model: str
    dimensions: int
    embedder: str
    state: str
    restored: bool = False

    @property
    def space(self) -> Space:
        return Space(self.model, self.dimensions)


async def current_space() -> StoredSpace | None:
    """Return the space that searches and new documents use now; None in an empty store."""
    async with (await database()).connection() as connection:
        return await current_in(connection)


async def current_in(connection: AsyncConnection) -> StoredSpace | None:
    row = await CURRENT.row(connection, {})
    return StoredSpace(*row) if row else None


async def current_embedder() -> str:
    """Return the name of the embedder block that documents and questions are to be embedded by."""
    found = await current_space()
    return found.embedder if found else NAME


async def open_space(connection: AsyncConnection, space: Space) -> int:
    """Return the id of the current space, which an empty store takes from its first document. Raises SpaceMismatch.

    Until the transaction ends no other space becomes the current one.
    """
    space_id = await connection.scalar(OPEN, {"model": space.model, "dimensions": space.dimensions})
    if space_id is None:
        held = await current_in(connection)
        described = f"{held.model} ({held.dimensions} dimensions)" if held else "another model"
        raise SpaceMismatch(
            f"The documents were embedded with {described}, not with {space.model} ({space.dimensions} dimensions): "
            "set the embedder back, or build the new space with `kowai reindex`."
        )
    return space_id
