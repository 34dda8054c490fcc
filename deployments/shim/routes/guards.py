"""Guards: what each does at each stage, and how a tenant switches it."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from deployments.shim.identity import Principal, may
from kowai.guards import Action, Stage, guards
from kowai.policies import Switch
from tasks.policy import own_switches, policy_of, reset_guard, switch_guard

router = APIRouter(prefix="/api/v1", tags=["guards"])

Reader = Annotated[Principal, Depends(may("policies.read"))]
Writer = Annotated[Principal, Depends(may("policies.write"))]


class GuardView(BaseModel):
    """Say what one guard does at one stage, by whose word."""

    guard: str
    stage: Stage
    summary: str
    action: Action
    default: Action = Field(description="What it does when nobody has switched it.")
    own: bool = Field(description="Whether this tenant has switched it.")


class Guards(BaseModel):
    guards: list[GuardView]


class Wanted(BaseModel):
    action: Action | None = Field(
        description="off, note, mask (questions, answers), quarantine (documents) or refuse; null: as for everybody."
    )


@router.get("/guards")
async def list_guards(caller: Reader) -> Guards:
    """List every guard at every stage with what follows when it sees something."""
    policy = await policy_of(caller.tenant_id)
    own = {(switch.guard, switch.stage) for switch in await own_switches(caller.tenant_id)}
    views = [
        GuardView(
            guard=name,
            stage=stage,
            summary=guard.summary,
            action=policy.action(name, stage),
            default=default,
            own=(name, stage) in own,
        )
        for name, guard in guards().items()
        for stage, default in guard.defaults.items()
    ]
    return Guards(guards=views)


@router.put("/guards/{guard}/{stage}")
async def switch(guard: str, stage: Stage, wanted: Wanted, caller: Writer) -> Guards:
    """Set what a guard does for this tenant; other processes follow within ten seconds."""
    if wanted.action is None:
        await reset_guard(guard, stage, caller.tenant_id)
    else:
        await switch_guard(Switch(guard=guard, stage=stage, action=wanted.action), caller.tenant_id)
    return await list_guards(caller)
