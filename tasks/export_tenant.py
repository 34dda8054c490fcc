"""Everything that is kept of a tenant, as one ZIP file: a JSON Lines file for each table, and the originals."""

import shutil
import tempfile
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import file_digest
from typing import BinaryIO, LiteralString, cast
from uuid import UUID

from anyio import to_thread
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import bucket, database
from blocks.lender import driver_of
from kowai import erasure
from kowai.errors import NotFound, SourceMissing, Unavailable
from kowai.settings import settings
from kowai.tenant_tables import SECRET_COLUMNS, tenant_tables
from kowai.types import Value
from tasks.step import step

PIECE = 1 << 20
FOLDER = "exports"


class DeletedMeanwhile(Unavailable):
    code = "deleted_meanwhile"


class Export(Value):
    """Say what an export holds, by which name it is fetched, and until when at least."""

    name: str
    kept_until: datetime
    bytes: int
    rows: dict[str, int]
    files: int


async def export_tenant(tenant_id: UUID) -> Export:
    """Write the export into the tenant's folder of the bucket, a piece in memory at a time. Raises DeletedMeanwhile."""
    began = await _begun(tenant_id)
    with tempfile.TemporaryFile() as draft:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            async with (await database()).transaction(tenant_id, even_suspended=True) as connection:
                rows = {table.name: await _add_rows(archive, table.name, connection) for table in tenant_tables()}
            files = await to_thread.run_sync(_add_files, archive, tenant_id)
        size = draft.tell()
        draft.seek(0)
        name = (await to_thread.run_sync(file_digest, draft, "sha256")).hexdigest()
        draft.seek(0)
        await _keep(f"{tenant_id}/{FOLDER}/{name}", draft, tenant_id, began)
    kept_until = datetime.now(UTC) + timedelta(days=settings().export_days)
    return Export(name=name, kept_until=kept_until, bytes=size, rows=rows, files=files)


async def _add_rows(archive: zipfile.ZipFile, table: str, connection: AsyncConnection) -> int:
    """Add a table as JSON Lines, without its secrets, and return how many rows it has."""
    hidden = "".join(f" - '{column}'" for column in SECRET_COLUMNS)
    told = cast("LiteralString", f'copy (select (to_jsonb(t){hidden})::text from "{table}" t) to stdout')  # noqa: S608
    count, piece, size = 0, list[str](), 0
    with archive.open(f"{table}.jsonl", "w", force_zip64=True) as lines:
        async with driver_of(connection).copying(told) as copied:
            async for (row,) in copied.rows():
                count, size = count + 1, size + len(row)
                piece.append(f"{row}\n")
                if size > PIECE:
                    await to_thread.run_sync(lines.write, "".join(piece).encode())
                    piece, size = [], 0
        await to_thread.run_sync(lines.write, "".join(piece).encode())
    return count


async def _begun(tenant_id: UUID) -> datetime:
    """Return the database's time, once every deletion that was under way has ended."""
    async with (await database()).transaction(tenant_id, even_suspended=True) as connection:
        await connection.execute(text(erasure.SHARE))
        return (await connection.execute(text("select clock_timestamp()"))).scalar_one()


async def _keep(path: str, content: BinaryIO, tenant_id: UUID, began: datetime) -> None:
    """Put the export where a deletion that begins from now on finds it."""
    async with (await database()).transaction(tenant_id, even_suspended=True) as connection:
        await connection.execute(text(erasure.SHARE))
        if await connection.scalar(text(erasure.DELETED_SINCE), {"began": began}):
            raise DeletedMeanwhile("Something was deleted while the export was made: export again.")
        await bucket().copy_to(path, content)


def _add_files(archive: zipfile.ZipFile, tenant_id: UUID) -> int:
    paths = sorted(bucket().files(tenant_id))
    for path in paths:
        with (
            bucket().open(path) as file,
            archive.open(f"files/{path.rpartition('/')[2]}", "w", force_zip64=True) as copy,
        ):
            shutil.copyfileobj(file, copy)
    return len(paths)


@step
async def sweep_exports(tenant_id: UUID) -> int:
    """Remove the exports that need not be kept any longer and return how many."""
    last_put = datetime.now(UTC) - timedelta(days=settings().export_days)
    paths = await to_thread.run_sync(lambda: list(bucket().files(tenant_id, FOLDER)))
    return sum([await bucket().remove(path, last_put=last_put) for path in paths])


async def read_export(name: str, tenant_id: UUID) -> AsyncIterator[bytes]:
    """Return an export's bytes, piece by piece. Raises NotFound."""
    path = f"{tenant_id}/{FOLDER}/{name}"
    try:
        if len(name) != 64 or not name.isalnum():
            raise SourceMissing("This is not the name of an export.")
        file = await to_thread.run_sync(bucket().open, path)
    except SourceMissing as error:
        raise NotFound("There is no such export.") from error

    async def pieces() -> AsyncIterator[bytes]:
        with file:
            while piece := await to_thread.run_sync(file.read, PIECE):
                yield piece

    return pieces()
