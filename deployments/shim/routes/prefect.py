"""Prefect's UI and API for the platform's operators; Prefect itself stays on loopback, and its password here."""

from pathlib import Path
from typing import Annotated, Any

import prefect
from fastapi import APIRouter, Depends, Request, Response, WebSocket
from fastapi.responses import FileResponse, RedirectResponse
from fastapi.security import HTTPAuthorizationCredentials

from deployments.shim.console import COOKIE, PATH, admit_browser, look_in, visit, watch
from deployments.shim.identity import anyone, bearer
from deployments.shim.prefect_api import PrefectApi
from deployments.shim.sockets import relay
from deployments.shim.static_files import KINDS, StaticFile, read_static, sent, static_file
from kowai.errors import NotFound, Unauthenticated

router = APIRouter(prefix=PATH, include_in_schema=False)

UI = Path(prefect.__ui_v2_static_path__)
PAGES = Path(__file__).parents[1] / "pages"
PLACEHOLDER = b"/PREFECT_UI_SERVE_BASE_REPLACE_PLACEHOLDER"
READING = ("filter", "count", "history", "paginate", "lateness", "next", "count-task-runs")  # reads that are posted
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
LOGIN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
Look = Depends(visit("prefect.read"))
Watch = Depends(watch("prefect.read"))
Change = Depends(visit("prefect.use"))


@router.get("/login", dependencies=[Depends(anyone)])
async def login_page(request: Request) -> Response:
    return sent(read_static(PAGES / "prefect-login.html"), request, LOGIN_POLICY)


@router.get("/login.js", dependencies=[Depends(anyone)])
async def login_script(request: Request) -> Response:
    return sent(read_static(PAGES / "prefect-login.js"), request)


@router.post("/login", status_code=204, dependencies=[Look])
async def log_in(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Response:
    """Give the browser that shows a key, or a login's access token, a cookie for an hour."""
    if credentials is None:
        raise Unauthenticated("Send a key: Authorization: Bearer ...")
    response = Response(status_code=204)
    admit_browser(response, credentials.credentials, request)
    return response


@router.post("/logout", dependencies=[Depends(anyone)])
async def log_out() -> Response:
    response = RedirectResponse(f"{PATH}/login", 303)
    response.delete_cookie(COOKIE, path=PATH)
    return response


@router.get("/ui-settings", dependencies=[Look])
async def ui_settings(request: Request) -> dict[str, Any]:
    """Tell the UI that its API is here and that it needs no password."""
    api = str(request.base_url).rstrip("/") + f"{PATH}/api"
    known = {"default_ui": "v2", "available_uis": ["v2"], "v1_base_url": None, "v2_base_url": PATH}
    return {"api_url": api, "csrf_enabled": False, "auth": None, "flags": [], **known}


async def forward(request: Request) -> Response:
    """Hand a call on to Prefect's API and its reply back, piece by piece."""
    api: PrefectApi = request.app.state.prefect
    path = request.scope["raw_path"].decode("ascii").partition("?")[0].removeprefix(f"{PATH}/api")
    if ".." in path.replace("%2e", ".").replace("%2E", ".").split("/"):
        raise NotFound("There is no such path.")
    return await api.forward(request, path)


@router.websocket("/api/events/out", dependencies=[Watch])
@router.websocket("/api/logs/out", dependencies=[Watch])
async def stream(browser: WebSocket) -> None:
    """Hand on what Prefect tells as it happens, for as long as the session that asked lasts; its UI polls instead."""
    api: PrefectApi = browser.app.state.prefect
    upstream = api.stream(browser.scope["path"].removeprefix(f"{PATH}/api"))
    await relay(browser, upstream, lambda: look_in(browser, "prefect.read", counted=False))


for name in READING:
    router.add_api_route(f"/api/{{path:path}}/{name}", forward, methods=["POST"], dependencies=[Look])
router.add_api_route("/api/{path:path}", forward, methods=["GET"], dependencies=[Look])
router.add_api_route("/api/{path:path}", forward, methods=["POST", "PUT", "PATCH", "DELETE"], dependencies=[Change])


@router.get("/ico/{name}", dependencies=[Depends(anyone)])
async def icon(name: str) -> Response:
    """Serve an icon or the manifest, which browsers fetch without cookies. Raises NotFound."""
    found = _find(f"ico/{name}")
    if found.parent.name != "ico":
        raise NotFound("There is no such icon.")
    return FileResponse(found)


@router.get("", dependencies=[Look])
@router.get("/{path:path}", dependencies=[Look])
async def ui(request: Request, path: str = "") -> Response:
    """Serve the files of the UI; any other path is one of its pages."""
    found = _find(path)
    if found.suffix not in KINDS:
        return FileResponse(found)
    return sent(_placed(found), request, POLICY if found.suffix == ".html" else None)


def _find(path: str) -> Path:
    """Return a file of the UI, and for the paths of its pages the one that draws them all."""
    found = (UI / path).resolve()
    return found if found.is_relative_to(UI.resolve()) and found.is_file() else UI / "index.html"


_files: dict[Path, StaticFile] = {}


def _placed(path: Path) -> StaticFile:
    """Return a file that knows below which path it is served, as Prefect's own server would write it."""
    if path not in _files:
        _files[path] = static_file(path.read_bytes().replace(PLACEHOLDER, PATH.encode()), path.suffix)
    return _files[path]
