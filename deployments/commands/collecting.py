"""Turn what a person names into documents, send them, and show how far it is."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from deployments.commands import sending
from deployments.commands.api import Api
from deployments.commands.records import read_records
from deployments.commands.sending import Parcel, Planned, batches, cause_of, deliver_all
from deployments.commands.tally import Tally
from kowai.archives import SUFFIXES as ARCHIVE_SUFFIXES
from kowai.errors import DocumentError
from kowai.jsonl import SUFFIXES as RECORD_SUFFIXES
from kowai.loaders import suffixes
from kowai.sources import Found, Walk, is_url


class Collected(NamedTuple):
    files: list[Parcel]
    records: list[Parcel]
    addresses: list[Parcel]


def ingest_all(sources: Iterable[str], api: Api) -> Tally:
    """Send everything that `sources` name and return where each document ended."""
    tally = Tally()
    collected = collect(sources, tally)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("indexing", total=sum(map(weight, chain(collected.files, collected.records))))
        for batch in deliver_all(planned(collected, tally, api), tally):
            progress.update(task, advance=sum(map(weight, batch)), description=str(tally))
    return tally


def planned(collected: Collected, tally: Tally, api: Api) -> Iterator[Planned]:
    """Yield every batch with what sends it."""
    for batch in batches(collected.files, sending.FILES):
        yield batch, partial(sending.send_files, api)
    for source in collected.records:
        for batch in batches(readable(source, tally), sending.RECORDS):
            yield batch, partial(sending.send_records, api)
    for address in collected.addresses:
        yield [address], partial(sending.send_address, api)


def collect(sources: Iterable[str], tally: Tally) -> Collected:
    """Return what there is to send; what cannot be read is dead with its cause."""
    collected = Collected([], [], [])
    for source in sources:
        if is_url(source):
            collected.addresses.append(Parcel(source, 0, source))
            continue
        try:
            for found in Walk(source, suffixes() | RECORD_SUFFIXES | ARCHIVE_SUFFIXES):
                sort(found, collected, tally)
        except DocumentError as error:
            tally.bury(source, error.code, error.sentence)
    return collected


def sort(found: Found, collected: Collected, tally: Tally) -> None:
    """Put a file with those it is sent with, or with the dead."""
    if found.error is not None:
        tally.bury(found.path, found.error.code, found.error.sentence)
        return
    path = Path(found.path)
    try:
        parcel = Parcel(found.path, path.stat().st_size, path)
    except OSError as error:
        tally.bury(found.path, *cause_of(error))
        return
    (collected.records if path.suffix.lower() in RECORD_SUFFIXES else collected.files).append(parcel)


def readable(source: Parcel, tally: Tally) -> Iterator[Parcel]:
    try:
        yield from read_records(source.content, tally)
    except OSError as error:
        tally.bury(source.name, *cause_of(error))


def weight(parcel: Parcel) -> int:
    return parcel.size
