"""The project of Appwrite, brought to what KowAI needs of it."""

from pathlib import Path
from typing import Annotated

import yaml
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from blocks.appwrite_project import apply
from blocks.connections import appwrite
from deployments.shim.identity import Principal, may
from kowai.errors import NotFound

router = APIRouter(prefix="/api/v1/appwrite", tags=["appwrite"])
TABLES = Path(__file__).parents[3] / "infra" / "appwrite" / "tables.yaml"

Platform = Annotated[Principal, Depends(may("tenants.manage"))]


class Applied(BaseModel):
    """Say what was missing and is there now."""

    made: list[str] = Field(description="Such as `team acme` or `column answers.model`; empty: all was there.")


@router.post("/apply")
async def apply_project(caller: Platform) -> Applied:
    """Make the teams, the bucket, the tables, columns and indexes that are missing; safe to repeat."""
    block = await appwrite()
    if block is None:
        raise NotFound("There is no project of Appwrite: save a block kowai-appwrite/kowai in Prefect.")
    return Applied(made=await apply(block, yaml.safe_load(TABLES.read_text())["tables"]))
