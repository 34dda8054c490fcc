"""The vector space that the store holds; two are never mixed."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.embedder import Space
from kowai.errors import SpaceMismatch

OPEN = text("select open_space(:model, :dimensions)")
HELD = text("select model, dimensions from embedding_space")


async def open_space(connection: AsyncConnection, space: Space) -> int:
    """Return the id of the store's space, which an empty store takes from its first document. Raises SpaceMismatch."""
    space_id = await connection.scalar(OPEN, {"model": space.model, "dimensions": space.dimensions})
    if space_id is None:
        held = (await connection.execute(HELD)).one()
        raise SpaceMismatch(
            f"The documents were embedded with {held.model} ({held.dimensions} dimensions), not with {space.model} "
            f"({space.dimensions}): set the embedder back, or index the documents again."
        )
    return space_id
