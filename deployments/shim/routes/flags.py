"""Flags, and the OpenFeature Remote Evaluation Protocol by which clients in any language read them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from deployments.shim.identity import Principal, may
from kowai.errors import InvalidInput
from kowai.flags import Flag, resolve
from kowai.storable import storable
from kowai.suites import fault
from tasks.flags import flags_of, list_flags, remove_flag, save_flag

router = APIRouter(prefix="/api/v1", tags=["experiments"])

User = Annotated[Principal, Depends(may("account.use"))]
Reader = Annotated[Principal, Depends(may("policies.read"))]
Writer = Annotated[Principal, Depends(may("policies.write"))]
Name = Annotated[str, AfterValidator(storable)]


class BadFlag(InvalidInput):
    code = "bad_flag"


class Context(BaseModel):
    """Name who the flag is for; the tenant and the role are always the caller's."""

    targetingKey: str = Field(default="", max_length=200, description="Whose share it is; empty: the caller's.")
    model_config = ConfigDict(extra="allow")


class Evaluation(BaseModel):
    """Ask what a flag is, as OFREP 0.1 does."""

    context: Context = Context()


class Evaluated(BaseModel):
    """Say what a flag is for the caller, and why."""

    key: str
    value: Any
    variant: str
    reason: str


class EvaluatedFlags(BaseModel):
    flags: list[Evaluated]


@router.get("/flags")
async def get_flags(caller: Reader) -> list[Flag]:
    """List the tenant's flags."""
    return list((await list_flags(caller.tenant_id)).values())


@router.put("/flags/{name}")
async def put_flag(name: str, content: dict[str, Any], caller: Writer) -> Flag:
    """Make or replace a flag: variants, a default, and rules by role and percentage; the first that fits decides."""
    try:
        flag = Flag.model_validate(content | {"name": name})
    except ValidationError as error:
        raise BadFlag(f"This is no flag: {fault(error)}.") from error
    await save_flag(flag, caller.tenant_id)
    return flag


@router.delete("/flags/{name}", status_code=204)
async def delete_flag(name: Name, caller: Writer) -> None:
    """Delete a flag; who asks for it gets their own default."""
    await remove_flag(name, caller.tenant_id)


@router.post("/ofrep/v1/evaluate/flags/{key}", response_model=Evaluated)
async def evaluate_flag(key: str, wanted: Evaluation, caller: User) -> Any:
    """Return what a flag is for the caller; 404 with FLAG_NOT_FOUND when there is none."""
    flags = await flags_of(caller.tenant_id)
    if key not in flags:
        return JSONResponse({"key": key, "errorCode": "FLAG_NOT_FOUND"}, 404)
    return _evaluated(flags[key], wanted, caller)


@router.post("/ofrep/v1/evaluate/flags")
async def evaluate_flags(wanted: Evaluation, caller: User) -> EvaluatedFlags:
    """Return what every flag is for the caller."""
    flags = await flags_of(caller.tenant_id)
    return EvaluatedFlags(flags=[_evaluated(flag, wanted, caller) for flag in flags.values()])


def _evaluated(flag: Flag, wanted: Evaluation, caller: Principal) -> Evaluated:
    found = resolve(flag, wanted.context.targetingKey or str(caller.id), caller.role)
    return Evaluated(key=flag.name, value=found.value, variant=found.variant, reason=found.reason)
