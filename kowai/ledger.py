"""The ledger: accepted = indexed + unchanged + quarantined + dead + in progress, at every moment.

It is counted from the items, the one place that says where a document stands; the items' states are these and no
others, so that the sum cannot be wrong.
"""
# ruff: noqa: S608 -- only constants are put into the text

from typing import NamedTuple

ENDS = ("indexed", "unchanged", "quarantined", "dead")

VIEW = f"""
create view ledger with (security_invoker = true) as
select tenant_id, ingestion_id, source_id, count(*) as accepted,
       {", ".join(f"count(*) filter (where state = '{end}') as {end}" for end in ENDS)},
       count(*) filter (where state in ('queued', 'running')) as in_progress
from ingestion_item group by tenant_id, ingestion_id, source_id
"""


class Counts(NamedTuple):
    """Count items by where they stand: accepted is the sum of the others."""

    accepted: int
    indexed: int
    unchanged: int
    quarantined: int
    dead: int
    in_progress: int


SUMS = ", ".join(f"coalesce(sum({name}), 0)::bigint as {name}" for name in Counts._fields)
