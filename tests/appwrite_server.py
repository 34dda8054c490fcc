"""A stand-in for an Appwrite server that remembers, on a free loopback port; each reply is held to Appwrite's contract.

A real one needs PHP, Redis, a database and Docker. The real SDK talks to this one over HTTP.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from blocks.appwrite import Appwrite
from tests import appwrite_contract, appwrite_files, appwrite_tables
from tests.serving import served

SECRET = "s" * 40
PREFIX = "/v1"


class Refusal(Exception):
    """Answer with Appwrite's shape of an error."""

    def __init__(self, code: int, kind: str, message: str = "told to") -> None:
        super().__init__(message)
        self.code, self.kind, self.message = code, kind, message


@dataclass
class AppwriteServer:
    """Hold the project, what went wrong with the contract, and how the next calls fail."""

    url: str
    users: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    memberships: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    teams: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    buckets: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    files: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    databases: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    tables: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    rows: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    asked: list[str] = field(default_factory=list[str])
    ranges: list[str] = field(default_factory=list[str])
    faults: list[str] = field(default_factory=list[str])
    status: int = 0
    delay: float = 0.0
    untyped: bool = False
    moved_to: str = ""

    def block(self, **more: Any) -> Appwrite:
        return Appwrite(endpoint=self.url + PREFIX, project="kowai", api_key="server-key", **more)

    def join(self, user: str, team: str, *roles: str, labels: tuple[str, ...] = (), confirm: bool = True) -> None:
        """Make a user, if it is new, a member of a team."""
        self.users.setdefault(user, _user(user)).update(labels=list(labels))
        member = {"userId": user, "userName": user, "userEmail": f"{user}@example.org", "userPhone": ""}
        team_named = {"teamId": team, "teamName": team, "confirm": confirm, "mfa": False, "roles": list(roles)}
        dates = {"invited": now(), "joined": now()}
        self.memberships.append(stamped(f"{team}-{user}") | member | team_named | dates)

    def add_bucket(self, name: str) -> None:
        self.buckets[name] = appwrite_files.described({"bucketId": name, "name": name})

    def token(self, user: str, *, minutes: float = 15) -> str:
        claims = {"userId": user, "sessionId": "s1", "exp": datetime.now(UTC) + timedelta(minutes=minutes)}
        return jwt.encode(claims, SECRET, algorithm="HS256")


def application(server: AppwriteServer) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def held_to_contract(request: Request, call_next: Any) -> Response:
        path = request.url.path.removeprefix(PREFIX)
        server.asked.append(f"{request.method} {path}")
        await asyncio.sleep(server.delay)
        if server.moved_to:
            return Response(status_code=302, headers={"Location": server.moved_to})
        if server.status:
            reply: Response = refused(Refusal(server.status, "general_unknown"))
        else:
            reply = await call_next(request)
        body = b"".join([part async for part in reply.body_iterator]) if hasattr(reply, "body_iterator") else reply.body
        known = 200 if reply.status_code == 206 else reply.status_code  # the contract says nothing of ranges
        fault = appwrite_contract.fault(request.method, path, known, bytes(body))
        if fault:
            server.faults.append(fault)
        media_type = None if server.untyped else reply.headers.get("content-type")
        return Response(bytes(body), reply.status_code, media_type=media_type)

    @app.exception_handler(Refusal)
    async def told(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return refused(error)

    @app.get("/v1/account")
    async def account(request: Request) -> Response:
        return JSONResponse(_caller(server, request.headers.get("x-appwrite-jwt", "")))

    @app.get("/v1/users/{user}/memberships")
    async def memberships(user: str, request: Request) -> Response:
        by_key(request)
        found = [each for each in server.memberships if each["userId"] == user]
        page = selected(found, request)
        return JSONResponse({"total": len(found), "memberships": page})

    @app.get("/v1/teams/{team}")
    async def get_team(team: str, request: Request) -> Response:
        by_key(request)
        return JSONResponse(held(server.teams, team, "team_not_found"))

    @app.post("/v1/teams")
    async def add_team(request: Request) -> Response:
        by_key(request)
        asked = await request.json()
        if asked["teamId"] in server.teams:
            raise Refusal(409, "team_already_exists")
        made = stamped(asked["teamId"]) | {"name": asked["name"], "total": 0, "prefs": {}}
        server.teams[asked["teamId"]] = made
        return JSONResponse(made, 201)

    appwrite_files.add_routes(app, server)
    appwrite_tables.add_routes(app, server)
    return app


def _user(name: str) -> dict[str, Any]:
    texts = {"name": name, "registration": now(), "passwordUpdate": now(), "accessedAt": now(), "phone": ""}
    flags = {"status": True, "emailVerification": True, "phoneVerification": False, "mfa": False}
    return stamped(name) | texts | flags | {"email": f"{name}@example.org", "labels": [], "prefs": {}, "targets": []}


def _caller(server: AppwriteServer, token: str) -> dict[str, Any]:
    try:
        user = server.users[jwt.decode(token, SECRET, algorithms=["HS256"])["userId"]]
    except (jwt.InvalidTokenError, KeyError) as error:
        raise Refusal(401, "user_jwt_invalid", "The JWT token is invalid.") from error
    if not user["status"]:
        raise Refusal(401, "user_blocked", "The current user has been blocked.")
    return user


def by_key(request: Request) -> None:
    if request.headers.get("x-appwrite-key") != "server-key" or request.headers.get("x-appwrite-project") != "kowai":
        raise Refusal(401, "general_unauthorized_scope", "The key lacks scopes.")


def held(shelf: dict[str, dict[str, Any]], name: str, kind: str) -> dict[str, Any]:
    if name not in shelf:
        raise Refusal(404, kind)
    return shelf[name]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def stamped(name: str) -> dict[str, Any]:
    return {"$id": name, "$createdAt": now(), "$updatedAt": now()}


def selected(found: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    """Return what the queries of a request select; as Appwrite does, 25 unless they say how many."""
    queries = [json.loads(text) for name, text in request.query_params.multi_items() if name.startswith("queries")]
    return matching(found, queries)


def matching(found: list[dict[str, Any]], queries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    limit, after = 25, None
    for query in queries:
        name, values = query.get("attribute"), query.get("values", [])
        if query["method"] == "equal":
            found = [each for each in found if each.get(name) in values]
        elif query["method"] == "startsWith":
            found = [each for each in found if str(each.get(name)).startswith(values[0])]
        elif query["method"] == "limit":
            limit = values[0]
        elif query["method"] == "cursorAfter":
            after = values[0]
    begin = next((at + 1 for at, each in enumerate(found) if each["$id"] == after), 0)
    return found[begin : begin + limit]


def refused(error: Refusal) -> Response:
    return JSONResponse({"message": error.message, "type": error.kind, "code": error.code}, error.code)


@contextmanager
def serving() -> Iterator[AppwriteServer]:
    """Serve in a thread until the block ends; what broke the contract meanwhile fails the test."""
    server = AppwriteServer("")
    with served(application(server)) as server.url:
        yield server
    assert server.faults == []


def number(text: str, pattern: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.fullmatch(pattern, text).groups())  # pyright: ignore[reportOptionalMemberAccess]
