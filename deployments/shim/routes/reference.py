"""The API's reference: its OpenAPI document, and Swagger UI from this computer, for a machine may have no internet."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Depends, FastAPI, Request, Response

from deployments.shim.identity import anyone
from deployments.shim.static_files import read_static, sent, static_file

PAGES = Path(__file__).parents[1] / "pages"
SWAGGER = Path(str(files("fastapi_offline"))) / "static"
# Swagger UI draws with inline styles and images in data URLs.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    app: FastAPI = request.app
    if not hasattr(app.state, "openapi"):
        app.state.openapi = static_file(json.dumps(app.openapi(), separators=(",", ":")).encode(), ".json")
    return sent(app.state.openapi, request)


@router.get("/docs")
async def reference_page(request: Request) -> Response:
    return sent(read_static(PAGES / "reference.html"), request, POLICY)


@router.get("/docs/reference.js")
async def reference_script(request: Request) -> Response:
    return sent(read_static(PAGES / "reference.js"), request)


@router.get("/docs/{name}")
async def swagger_file(name: Literal["swagger-ui-bundle.js", "swagger-ui.css"], request: Request) -> Response:
    return sent(read_static(SWAGGER / name), request)
