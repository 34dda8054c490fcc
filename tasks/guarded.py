"""What output guards make of an answer."""

from uuid import UUID

from kowai.canaries import canary_of
from kowai.guards import Content
from kowai.policies import inspect
from kowai.types import Draft
from tasks.policy import policy_of


async def guarded(draft: Draft, tenant_id: UUID) -> Draft:
    """Return the answer with what guards saw in it, or refused; there is nothing to see in an abstention."""
    if draft.abstained or draft.refusal is not None:
        return draft
    policy = await policy_of(tenant_id)
    content = Content(draft.text, "output", policy.limits, supported=_supported(draft), canary=canary_of(tenant_id))
    seen = inspect(content, policy)
    if seen.verdict.allowed:
        return draft.model_copy(update={"findings": seen.findings})
    return draft.model_copy(update={"refusal": seen.verdict})


def _supported(draft: Draft) -> float | None:
    """Return the share of sentences that a citation supports, None where they are not known one by one."""
    return sum(each.supported for each in draft.sentences) / len(draft.sentences) if draft.sentences else None
