"""The chat page, its two files and the icon; it holds no data and needs no key."""

from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Depends, Request, Response

from deployments.shim.identity import anyone
from deployments.shim.static_files import read_static, sent
from kowai.personas import askable

PAGES = Path(__file__).parents[1] / "pages"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

A_DAY = 86_400

router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])


@router.get("/")
async def chat_page(request: Request) -> Response:
    return sent(read_static(PAGES / "index.html"), request, POLICY)


@router.get("/favicon.ico")
async def icon(request: Request) -> Response:
    return sent(read_static(PAGES / "favicon.ico"), request, kept_seconds=A_DAY)


@router.get("/pages/personas")
async def persona_names() -> list[str]:
    return askable()


@router.get("/pages/{name}")
async def chat_file(name: Literal["chat.css", "chat.js"], request: Request) -> Response:
    return sent(read_static(PAGES / name), request)
