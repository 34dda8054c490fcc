"""What was read can be walked: neighbours, ways and an export, by the tenant whose documents they are."""

from pathlib import Path
from uuid import UUID

import pytest

from blocks.database import Database
from flows.ingest import ingest_stored
from kowai.errors import NotFound
from tasks.receive import receive_ingestion
from tasks.relate import export, neighbours, path

FILES = {
    "index.md": "# Start\n\nRead [the guide](guide.md) first.",
    "guide.md": "# Guide\n\nThe code is in app.py; see [the end](end.md) and [nowhere](missing.md).",
    "app.py": "import helper\n\nhelper.work()\n",
    "helper.py": "def work():\n    return 1\n",
    "end.md": "# End\n\nBack to [the start](index.md).",
}


async def learn(tenant: UUID, folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).write_text(content)
    await ingest_stored.fn(await receive_ingestion([{"uri": str(folder)}], tenant), tenant)


@pytest.mark.usefixtures("store")
async def test_neighbours_ways_and_export(tenant: UUID, other_tenant: UUID, tmp_path: Path) -> None:
    await learn(tenant, tmp_path, FILES)

    def named(name: str) -> str:
        return str(tmp_path / name)

    out = await neighbours(named("guide.md"), tenant, depth=1, incoming=False)
    assert [(one.kind, one.target_document) for one in out] == [
        ("mentions", named("app.py")),
        ("links", named("end.md")),
        ("links", None),
    ]
    assert out[1].evidence == "[the end](end.md)"
    deep = await neighbours(named("index.md"), tenant, depth=3, incoming=False)
    assert (named("helper.py"), 3) in [(one.target_document, one.depth) for one in deep]
    assert ("calls", "helper.work") in [(one.kind, one.target) for one in deep]
    (back,) = await neighbours(named("index.md"), tenant, depth=1, incoming=True)
    assert back.source == named("end.md")
    way = await path(named("index.md"), named("helper.py"), tenant, depth=4)
    assert [one.target_document for one in way] == [named("guide.md"), named("app.py"), named("helper.py")]
    assert await path(named("helper.py"), named("index.md"), tenant, depth=4) == []
    assert len((await export(tenant, "csv")).splitlines()) == 1 + 7
    assert 'MERGE (s)-[:IMPORTS {start: 0, end: 13, evidence: "import helper"}]->(t);' in await export(tenant, "cypher")
    with pytest.raises(NotFound):
        await neighbours(named("index.md"), other_tenant, depth=1, incoming=False)


async def test_a_changed_document_refers_to_what_it_says_now(store: Database, tenant: UUID, tmp_path: Path) -> None:
    await learn(tenant, tmp_path, FILES)
    await learn(tenant, tmp_path, {"index.md": "# Start\n\nRead [the end](end.md)."})
    (edge,) = await neighbours(str(tmp_path / "index.md"), tenant, depth=1, incoming=False)
    assert edge.target_document == str(tmp_path / "end.md")
