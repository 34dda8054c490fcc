"""Send documents in bounded batches; one that the API refuses does not take its neighbours along."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from deployments.commands.api import Api, Refused
from deployments.commands.tally import Tally
from kowai.errors import SourceForbidden, SourceMissing

AT_ONCE = 2  # while one batch begins or ends, the other keeps the embedder busy
FIRST_SHARE = 8  # the first batch is an eighth of the largest, and each next one twice as large
REFUSALS_OF_ONE = (400, 413, 415, 422)  # the fault lies in a document, not in the caller or the server


class Bounds(NamedTuple):
    """Bound what one request carries: each is an ingestion, which costs something by itself."""

    parcels: int
    size: int  # bytes


FILES = Bounds(100, 20_000_000)
RECORDS = Bounds(2_000, 2_000_000)  # some two thousand chunks, whether they are those of many documents or of few


class Parcel(NamedTuple):
    """Hold one thing to send: its name, its size in bytes and what it is."""

    name: str
    size: int
    content: Any


Sender = Callable[[list[Parcel]], dict[str, Any]]
Planned = tuple[list[Parcel], Sender]


def batches(parcels: Iterable[Parcel], largest: Bounds) -> Iterator[list[Parcel]]:
    """Yield lists of parcels within these bounds; a larger parcel travels alone.

    They grow: the first soon shows whether any will be taken, and two of different sizes at once do not end together.
    """
    batch: list[Parcel] = []
    size, share = 0, FIRST_SHARE
    for parcel in parcels:
        if batch and (len(batch) >= largest.parcels // share or size + parcel.size > largest.size // share):
            yield batch
            batch, size, share = [], 0, max(1, share // 2)
        batch.append(parcel)
        size += parcel.size
    if batch:
        yield batch


def deliver_all(planned: Iterable[Planned], tally: Tally) -> Iterator[list[Parcel]]:
    """Send batches and yield each that has arrived. Raises as `deliver` does.

    The first goes alone, for it shows whether any will be taken, and then two at once unless they share a name.
    """
    under_way, most = deque[tuple[list[Parcel], Future[None]]](), 1
    for batch, send in planned:
        names = {parcel.name for parcel in batch}
        while len(under_way) == most or any(parcel.name in names for other, _ in under_way for parcel in other):
            yield _arrived(*under_way.popleft())
            most = AT_ONCE
        under_way.append((batch, _begun(lambda batch=batch, send=send: deliver(batch, send, tally))))
    while under_way:
        yield _arrived(*under_way.popleft())


def _arrived(batch: list[Parcel], delivery: Future[None]) -> list[Parcel]:
    delivery.result()
    return batch


def _begun(work: Callable[[], None]) -> Future[None]:
    """Begin work that ends with the process: nobody who interrupts the command waits for it."""
    future = Future[None]()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future


def deliver(batch: list[Parcel], send: Sender, tally: Tally) -> None:
    """Send a batch; halve one that is refused until the refused document is alone. Raises what concerns all."""
    try:
        tally.add(send(batch))
    except (Refused, OSError) as error:
        if isinstance(error, Refused) and error.status not in REFUSALS_OF_ONE:
            raise
        if len(batch) == 1:
            tally.bury(batch[0].name, *cause_of(error))
            return
        middle = len(batch) // 2
        deliver(batch[:middle], send, tally)
        deliver(batch[middle:], send, tally)


def cause_of(error: Refused | OSError) -> tuple[str, str]:
    """Return the code and sentence of a dead document."""
    if isinstance(error, Refused):
        return error.cause, error.sentence
    missing = isinstance(error, FileNotFoundError)
    code = SourceMissing.code if missing else SourceForbidden.code
    return code, f"It cannot be read: {error.strerror or error}."


def send_files(api: Api, batch: list[Parcel]) -> dict[str, Any]:
    """Upload files under their absolute paths, read while they are sent."""
    with ExitStack() as opened:
        paths: list[Path] = [parcel.content for parcel in batch]
        parts = [("files", (str(path), opened.enter_context(path.open("rb")))) for path in paths]
        return api.post("/api/v1/documents", files=parts)


def send_records(api: Api, batch: list[Parcel]) -> dict[str, Any]:
    return api.post("/api/v1/documents:batch", {"documents": [parcel.content for parcel in batch]})


def send_address(api: Api, batch: list[Parcel]) -> dict[str, Any]:
    return api.post("/api/v1/ingest", {"sources": [parcel.content for parcel in batch], "mode": "sync"})
