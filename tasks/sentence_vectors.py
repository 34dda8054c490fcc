"""Vectors of an answer's sentences, by which they are found in passages and compared with what was expected."""

from collections.abc import Sequence
from uuid import UUID

from kowai.quoting import Embed
from tasks import metered


def sentence_vectors_for(tenant_id: UUID, query_id: UUID | None = None) -> Embed:
    """Return what gives the sentences of a question's answer their vectors."""

    async def embed(texts: Sequence[str]) -> metered.Vectors:
        return (await metered.embed(texts, tenant_id, purpose="document", query_id=query_id)).vectors

    return embed
