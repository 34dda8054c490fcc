"""The chat page and its two files; it holds no data and needs no key."""

from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse

from deployments.shim.identity import anyone
from kowai.personas import askable

PAGES = Path(__file__).parents[1] / "pages"
POLICY = {"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff"}

router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])


@router.get("/")
async def chat_page() -> FileResponse:
    return FileResponse(PAGES / "index.html", headers=POLICY)


@router.get("/pages/personas")
async def persona_names() -> list[str]:
    return askable()


@router.get("/pages/{name}")
async def chat_file(name: Literal["chat.css", "chat.js"]) -> FileResponse:
    return FileResponse(PAGES / name, headers=POLICY)
