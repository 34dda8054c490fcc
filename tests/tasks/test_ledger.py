"""The ledger's sum holds whatever happens to documents, and dead letters get another chance."""

from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from blocks.database import Database
from flows.ingest import ingest_stored
from kowai.errors import DocumentError, KowaiError
from kowai.ledger import ENDS, Counts
from kowai.remedies import OTHERWISE, REMEDIES, remedy
from tasks.documents import list_dead_letters, list_documents, read_accounts
from tasks.forget import forget
from tasks.receive import receive_ingestion
from tasks.revive import revive
from tasks.step import traced

STATES = ("queued", "running", *ENDS)
STEPS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([*STATES, "deleted"])), max_size=25)

ACCEPT = """
insert into ingestion_item (id, tenant_id, ingestion_id, uri, state, attempts)
values (gen_random_uuid(), :tenant, :ingestion, :uri, 'queued', 0) on conflict do nothing
"""
MOVE = """
update ingestion_item set state = cast(:state as text),
  cause = case when cast(:state as text) in ('dead', 'quarantined') then 'empty' end
where uri = :uri
"""


async def ingested(tenant: UUID, *uris: Path) -> None:
    ingestion_id = await receive_ingestion([{"uri": str(uri)} for uri in uris], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)


async def replayed(tenant: UUID, **chosen: Any) -> None:
    for ingestion_id in (await revive(tenant, **chosen)).ingestion_ids:
        with traced():
            await ingest_stored.fn(ingestion_id, tenant)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))  # pyright: ignore[reportArgumentType]
@given(steps=STEPS)
async def test_accepted_is_the_sum_of_all_ends_after_every_step(
    store: Database, tenant: UUID, steps: list[tuple[int, str]]
) -> None:
    ingestion_id = await receive_ingestion([], tenant)
    for number, state in steps:
        uri = f"{ingestion_id}/{number}"
        async with store.transaction(tenant) as connection:
            known = {"tenant": tenant, "ingestion": ingestion_id, "uri": uri}
            await connection.execute(text(ACCEPT), known)
            if state != "deleted":
                await connection.execute(text(MOVE), {"state": state, "uri": uri})
        if state == "deleted":
            await forget(uri, tenant)
        total, accounts = await read_accounts(tenant)
        counts = Counts(**total.model_dump(exclude={"source_id", "uri"}))
        assert counts.accepted == sum(counts[1:]) == sum(account.accepted for account in accounts)


async def test_each_source_has_an_account_of_its_own(store: Database, tenant: UUID, tmp_path: Path) -> None:
    from tasks.sources import remember

    for name, texts in {"a": ["one", "two"], "b": ["three", ""]}.items():
        (tmp_path / name).mkdir()
        for number, content in enumerate(texts):
            (tmp_path / name / f"{number}.txt").write_text(content)
    await remember([str(tmp_path / "a"), str(tmp_path / "b")], tenant)
    await ingested(tenant, tmp_path / "a", tmp_path / "b")
    _, accounts = await read_accounts(tenant)
    told = {Path(account.uri or "").name: (account.accepted, account.indexed, account.dead) for account in accounts}
    assert told == {"a": (2, 2, 0), "b": (2, 1, 1)}


async def test_a_mended_fault_leaves_no_dead_letter(store: Database, tenant: UUID, tmp_path: Path) -> None:
    folder, lost = tmp_path / "folder", tmp_path / "lost"
    folder.mkdir()
    (folder / "empty.txt").write_text("")
    (folder / "fake.pdf").write_bytes(b"%PDF-1.7\nnothing")
    await ingested(tenant, folder, lost)
    letters = await list_dead_letters(tenant)
    assert {letter.cause for letter in letters} == {"empty", "corrupt", "source_missing"}
    assert all(letter.fix == REMEDIES[letter.cause] for letter in letters)
    await replayed(tenant, every=True)
    again = await list_dead_letters(tenant)
    assert len(again) == 3
    assert max(letter.attempts for letter in again) == 2
    (folder / "empty.txt").write_text("Something.")
    (folder / "fake.pdf").unlink()
    (folder / "fake.txt").write_text("Something else.")
    lost.write_text("Found.")
    await replayed(tenant, causes=["empty", "source_missing"])
    (left,) = await list_dead_letters(tenant)
    await forget(left.uri, tenant)
    assert await list_dead_letters(tenant) == []
    assert len(await list_documents(tenant)) == 3
    assert (await read_accounts(tenant))[0].dead == 0


async def test_a_document_that_is_well_again_settles_its_older_letters(
    store: Database, tenant: UUID, tmp_path: Path
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("")
    await ingested(tenant, path)
    await ingested(tenant, path)
    assert len(await list_dead_letters(tenant)) == 1
    path.write_text("Something.")
    await ingested(tenant, path)
    assert await list_dead_letters(tenant) == []


async def test_replaying_chooses_by_id(store: Database, tenant: UUID, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("")
    await ingested(tenant, tmp_path / "a.txt", tmp_path / "b.txt")
    letters = await list_dead_letters(tenant)
    (tmp_path / "a.txt").write_text("Mended.")
    (tmp_path / "b.txt").write_text("Mended.")
    await replayed(tenant, ids=[letters[0].id])
    assert [letter.id for letter in await list_dead_letters(tenant)] == [letters[1].id]


def kinds(root: type[KowaiError]) -> set[type[KowaiError]]:
    return {root}.union(*(kinds(kind) for kind in root.__subclasses__()))


def test_every_cause_of_death_has_a_remedy() -> None:
    assert {kind.code for kind in kinds(DocumentError)} <= set(REMEDIES)
    assert remedy("nobody knows") == OTHERWISE
