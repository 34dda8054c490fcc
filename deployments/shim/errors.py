"""The only place where errors become HTTP."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from deployments.logs import configure
from deployments.shim.console import LoginFirst
from kowai.errors import BudgetExhausted, KowaiError
from kowai.limits import LimitReached

log = structlog.get_logger()


def body(code: str, message: str, status: int, param: str | None = None) -> dict[str, dict[str, str | None]]:
    """Return what a client is told; `type` and `param` are there for OpenAI's clients."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"code": code, "message": message, "type": kind, "param": param}}


def _is_openais(request: Request) -> bool:
    return request.url.path.startswith("/v1/")


def _status(request: Request, status: int) -> int:
    """Return the status as the door's own clients know it: OpenAI says 400 where we say 422."""
    return 400 if status == 422 and _is_openais(request) else status


def _out_of_quota(error: KowaiError) -> Response:
    """Say that the money is used up as OpenAI does, whose clients are told not to try again at once."""
    told = {"code": "insufficient_quota", "message": error.sentence, "type": "insufficient_quota", "param": None}
    return JSONResponse({"error": told}, 429, headers={"x-should-retry": "false"})


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error in one shape: {"error": {"code", "message"}}; log unknown ones without a tenant's text."""
    configure()
    app.add_exception_handler(KowaiError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unknown)


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, KowaiError)
    if error.http_status >= 500:
        log.error("request failed", code=error.code, operator=error.operator)
    if isinstance(error, LoginFirst):
        return RedirectResponse(error.place, 303)
    if _is_openais(request) and error.code == BudgetExhausted.code:
        return _out_of_quota(error)
    status = _status(request, error.http_status)
    told = body(error.code, error.sentence, status, getattr(error, "param", None))
    return JSONResponse(told, status, headers=_headers(error))


def _headers(error: KowaiError) -> dict[str, str]:
    if error.http_status == 401:
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, LimitReached):
        return {"Retry-After": str(error.retry_after)}
    return {"Retry-After": "1"} if error.retryable else {}


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    sentence = "; ".join(map(_fault, error.errors())) or "The request cannot be read."
    status = _status(request, 422)
    param = next(
        (str(at) for fault in error.errors() for at in fault["loc"][1:2] if fault["type"] != "json_invalid"), None
    )
    return JSONResponse(body("invalid_request", sentence, status, param), status)


def _fault(fault: dict[str, Any]) -> str:
    if fault["type"] == "json_invalid":
        return f"The body is not JSON: {fault['ctx']['error']}, at character {fault['loc'][-1]}"
    return f"{'.'.join(map(str, fault['loc'][1:])) or 'The body'}: {fault['msg']}"


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    codes = {400: "invalid_request", 404: "no_such_route", 405: "method_not_allowed"}
    codes |= {413: "too_large", 422: "invalid_request"}
    return JSONResponse(
        body(codes.get(error.status_code, "http_error"), str(error.detail), error.status_code), error.status_code
    )


async def _unknown(_request: Request, error: Exception) -> JSONResponse:
    log.exception("request broke", exc_info=error)
    return JSONResponse(body("internal", "Something went wrong on our side.", 500), 500)
