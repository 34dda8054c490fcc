"""Keep what documents refer to in step with them, and look at it as a graph."""

import csv
import io
import json
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import database
from kowai import graph
from kowai.errors import NotFound
from kowai.relations import KINDS, Relation
from kowai.spreadsheets import harmless
from kowai.types import Value

MOST = 1_000


class Edge(Value):
    """Show a reference: whose, to what, to which document if there is one there, and the characters that say so."""

    source: str
    kind: str
    target: str
    target_document: str | None
    start: int
    end: int
    evidence: str
    depth: int


async def write_relations(connection: AsyncConnection, found: Mapping[UUID, Sequence[Relation]]) -> None:
    """Store what documents refer to in place of what they referred to before."""
    await connection.execute(text(graph.FORGET), {"documents": list(found)})
    rows = [(document_id, relation) for document_id, own in found.items() for relation in own]
    if not rows:
        return
    columns: dict[str, list[Any]] = {
        "documents": [document_id for document_id, _ in rows],
        "kinds": [one.kind for _, one in rows],
        "targets": [one.target for _, one in rows],
        "paths": [one.path for _, one in rows],
        "bases": [posixpath.basename(one.path).lower() if one.path else None for _, one in rows],
        "starts": [one.start for _, one in rows],
        "ends": [one.end for _, one in rows],
    }
    await connection.execute(text(graph.WRITE), columns)


async def neighbours(
    name: str, tenant_id: UUID, *, depth: int, incoming: bool, kinds: Sequence[str] = KINDS
) -> list[Edge]:
    """Return the references within some steps from, or to, a document. Raises NotFound."""
    wanted = {"name": name, "depth": depth, "kinds": list(kinds), "limit": MOST}
    async with (await database()).transaction(tenant_id) as connection:
        await _check(connection, name)
        return await _edges(connection, graph.neighbours(incoming=incoming), wanted)


async def path(start: str, finish: str, tenant_id: UUID, *, depth: int, kinds: Sequence[str] = KINDS) -> list[Edge]:
    """Return the references that lead from one document to another by the fewest steps; none when none do."""
    wanted = {"start": start, "finish": finish, "depth": depth, "kinds": list(kinds)}
    async with (await database()).transaction(tenant_id) as connection:
        await _check(connection, start)
        await _check(connection, finish)
        return await _edges(connection, graph.PATH, wanted)


async def export(tenant_id: UUID, form: Literal["csv", "cypher"]) -> str:
    """Return every reference as CSV or as Cypher statements."""
    async with (await database()).transaction(tenant_id) as connection:
        edges = await _edges(connection, graph.EVERYTHING, {})
    return _as_csv(edges) if form == "csv" else "".join(map(_as_cypher, edges))


async def _check(connection: AsyncConnection, name: str) -> None:
    if not await connection.scalar(text(graph.EXISTS), {"name": name}):
        raise NotFound(f"There is no document '{name}'.")


async def _edges(connection: AsyncConnection, sql: str, wanted: Mapping[str, Any]) -> list[Edge]:
    rows = (await connection.execute(text(sql), wanted)).mappings()
    return [Edge.model_validate(dict(row)) for row in rows]


def _as_csv(edges: Sequence[Edge]) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, list(Edge.model_fields), lineterminator="\n")
    writer.writeheader()
    for edge in edges:
        fields = edge.model_dump().items()
        writer.writerow({name: harmless(value) if isinstance(value, str) else value for name, value in fields})
    return written.getvalue()


def _as_cypher(edge: Edge) -> str:
    source, target = json.dumps(edge.source), json.dumps(edge.target_document or edge.target)
    label = "Document" if edge.target_document else "Name"
    place = f"{{start: {edge.start}, end: {edge.end}, evidence: {json.dumps(edge.evidence)}}}"
    return (
        f"MERGE (s:Document {{name: {source}}}) MERGE (t:{label} {{name: {target}}}) "
        f"MERGE (s)-[:{edge.kind.upper()} {place}]->(t);\n"
    )
