"""Batches of documents are sent while others are indexed, and none overtakes another that it may contradict."""

from collections.abc import Iterator
from threading import Barrier
from typing import Any

import pytest

from deployments.commands.sending import Parcel, Planned, deliver_all
from deployments.commands.tally import ENDS, Tally

REPLY = dict.fromkeys(ENDS, 0) | {"indexed": 1, "items": []}
MOST_SECONDS = 30


def parcels(*names: str) -> list[Parcel]:
    return [Parcel(name, 1, name) for name in names]


def test_a_batch_is_sent_while_another_is_indexed_once_the_first_was_taken() -> None:
    both = Barrier(2, timeout=MOST_SECONDS)
    tally, at_first = Tally(), list[str]()

    def alone(batch: list[Parcel]) -> dict[str, Any]:
        at_first.append(batch[0].name)
        return REPLY

    def together(batch: list[Parcel]) -> dict[str, Any]:
        both.wait()
        return REPLY

    planned: list[Planned] = [(parcels("a"), alone), (parcels("b"), together), (parcels("c"), together)]
    assert [batch[0].name for batch in deliver_all(planned, tally)] == ["a", "b", "c"]
    assert (at_first, tally.indexed) == (["a"], 3)


def test_a_batch_waits_for_one_that_holds_a_document_of_the_same_name() -> None:
    arrived = list[str]()

    def send(batch: list[Parcel]) -> dict[str, Any]:
        return REPLY

    def plan() -> Iterator[Planned]:
        yield parcels("a"), send
        yield parcels("b", "c"), send
        yield parcels("d"), send
        yield parcels("b", "e"), lambda batch: send(batch) if "b" in arrived else pytest.fail("it overtook")

    for batch in deliver_all(plan(), Tally()):
        arrived += [parcel.name for parcel in batch]
    assert arrived == ["a", "b", "c", "d", "b", "e"]


def test_what_concerns_all_batches_is_raised() -> None:
    def broken(batch: list[Parcel]) -> dict[str, Any]:
        raise ConnectionResetError("gone")

    def refused(batch: list[Parcel]) -> dict[str, Any]:
        raise RuntimeError("no more")

    tally = Tally()
    with pytest.raises(RuntimeError, match="no more"):
        list(deliver_all([(parcels("a"), broken), (parcels("b"), refused)], tally))
    assert tally.dead == 1
