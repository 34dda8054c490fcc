"""What is quoted from a PDF can be marked on its page, through every door."""

import io
from pathlib import Path

from reportlab.pdfgen.canvas import Canvas

from flows.ingest import ingest_stored
from tasks.receive import receive_ingestion
from tasks.step import traced
from tests.deployments.conftest import Shim


def manual() -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file)
    canvas.drawString(72, 700, "About the kettle.")
    canvas.showPage()
    canvas.drawString(72, 600, "The kettle is descaled with vinegar every six weeks.")
    canvas.save()
    return file.getvalue()


async def test_passages_citations_and_records_know_the_boxes_of_a_pdf_and_of_nothing_else(
    shim: Shim, tmp_path: Path
) -> None:
    (tmp_path / "kettle.pdf").write_bytes(manual())
    ingestion_id = await receive_ingestion([{"uri": str(tmp_path / "kettle.pdf")}], shim.tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, shim.tenant)
    async with shim.client() as client:
        found = (await client.post("/api/v1/search", json={"query": "kettle descaled with vinegar"})).json()["passages"]
        answer = (await client.post("/api/v1/query", json={"query": "How often is the kettle descaled?"})).json()
        record = (await client.get(f"/api/v1/query/{answer['query_id']}/replay")).json()
        replayed = (await client.post(f"/api/v1/query/{answer['query_id']}/replay")).json()
    (box,) = found[0]["boxes"]
    assert (box["page"], box["page_width"], box["page_height"]) == (2, 596, 842)
    assert box["x0"] <= 72 < box["x1"]
    assert box["y0"] < 842 - 600 <= box["y1"]
    assert answer["citations"][0]["boxes"] == [box]
    assert record["answer"]["citations"][0]["boxes"] == [box]
    assert record["passages"][0]["passage"]["boxes"] == [box]
    assert replayed["identical"]
    assert {passage["boxes"] is None for passage in found if "tea" in passage["text"].lower()} == {True}
