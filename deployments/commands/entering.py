"""Log in and out; add users, make keys."""

from typing import Annotated, Any

import typer

from deployments.commands.options import Json, Key, State, Url

users = typer.Typer(name="users", help="Add and change the tenant's users.", no_args_is_help=True)
keys = typer.Typer(name="keys", help="Make, rotate and revoke API keys.", no_args_is_help=True)

User = Annotated[str, typer.Argument(help="The user's e-mail address or id.")]
KeyName = Annotated[str, typer.Argument(help="The key's name or id.")]
Role = Annotated[str, typer.Option("--role", "-r", help="viewer, analyst, operator, admin or platform_admin.")]


def login(
    email: Annotated[str, typer.Argument(help="Your e-mail address.")],
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="Your tenant's name.")] = "default",
    url: Url = None,
    state: State = None,
) -> None:
    """Log in: from now on this state directory's commands act as you."""
    from deployments.commands.api import Api
    from deployments.commands.session import keep_session

    password = typer.prompt("Password", hide_input=True)
    with Api(url, "nobody yet") as api:
        who = {"email": email, "password": password, "tenant": tenant}
        keep_session(api.url, api.post("/api/v1/auth/login", who))
    typer.echo(f"Logged in as {email}.")


def logout(url: Url = None, state: State = None) -> None:
    """End the login of `kowai login`."""
    from deployments.commands.api import Api
    from deployments.commands.session import forget_session

    token = forget_session()
    if token is None:
        typer.echo("Nobody is logged in.")
        return
    with Api(url, "nobody any more") as api:
        api.send("POST", "/api/v1/auth/logout", {"refresh_token": token})
    typer.echo("Logged out.")


@users.command("list")
def list_users(url: Url = None, key: Key = None, as_json: Json = False, state: State = None) -> None:
    """List the users."""
    columns = ("id", "email", "role", "disabled", "last_login_at")
    show_rows(_get("/api/v1/users", url, key), columns, as_json, "There are no users yet: kowai users add.")


@users.command("add")
def add_user(
    email: str, role: Role = "viewer", name: str = "", url: Url = None, key: Key = None, state: State = None
) -> None:
    """Add a user and print the token by which they set their password: `kowai users password`."""
    added = send("POST", "/api/v1/users", {"email": email, "role": role, "name": name}, url, key)
    typer.echo(f"{added['user']['id']}  {email}  {role}\nPassword token, good for a day: {added['password_token']}")


@users.command("change")
def change_user(
    user: User,
    role: Annotated[str | None, typer.Option("--role", "-r", help="The new role.")] = None,
    disable: Annotated[bool | None, typer.Option("--disable/--enable", help="Shut out, or let in again.")] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change a user's role, shut them out or let them in again."""
    change = {"role": role, "disabled": disable}
    path = one_of("/api/v1/users", user, "email", url, key)
    send("PATCH", path, {name: value for name, value in change.items() if value is not None}, url, key)


@users.command("reset")
def reset_password(user: User, url: Url = None, key: Key = None, state: State = None) -> None:
    """Print a token by which a user sets a new password."""
    path = one_of("/api/v1/users", user, "email", url, key)
    typer.echo(send("POST", f"{path}/password-token", None, url, key)["password_token"])


@users.command("password")
def set_password(token: str, url: Url = None, state: State = None) -> None:
    """Set your password by the token that an admin gave you."""
    password = typer.prompt("New password", hide_input=True, confirmation_prompt=True)
    send("POST", "/api/v1/auth/password-reset", {"token": token, "password": password}, url, "nobody yet")
    typer.echo("Your password is set: log in with `kowai login`.")


@keys.command("list")
def list_keys(url: Url = None, key: Key = None, as_json: Json = False, state: State = None) -> None:
    """List the keys; none of them can be shown again."""
    show_rows(
        _get("/api/v1/keys", url, key), ("id", "name", "role", "last_used_at", "expires_at", "revoked_at"), as_json
    )


@keys.command("make")
def make_key(
    name: str,
    role: Role = "viewer",
    scope: Annotated[list[str] | None, typer.Option("--scope", "-s", help="Confine it to this permission.")] = None,
    expires_at: Annotated[str | None, typer.Option(help="As 2027-01-31T00:00:00Z.")] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make a key and print it, this once."""
    wanted = {"name": name, "role": role, "scopes": scope or None, "expires_at": expires_at}
    typer.echo(send("POST", "/api/v1/keys", wanted, url, key)["key"])


@keys.command("rotate")
def rotate_key(
    name: KeyName,
    overlap_hours: Annotated[float, typer.Option(help="How long the old key works beside the new one.")] = 24.0,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make a key's successor and print it, this once."""
    path = one_of("/api/v1/keys", name, "name", url, key)
    typer.echo(send("POST", f"{path}/rotate", {"overlap_hours": overlap_hours}, url, key)["key"])


@keys.command("revoke")
def revoke_key(name: KeyName, url: Url = None, key: Key = None, state: State = None) -> None:
    """End a key at once."""
    send("DELETE", one_of("/api/v1/keys", name, "name", url, key), None, url, key)


def one_of(path: str, wanted: str, column: str, url: str | None, key: str | None) -> str:
    """Return the path of the one row that is called so, or has that id. Raises NotFound for none and for several."""
    from deployments.commands.holding import is_id
    from kowai.errors import NotFound

    if is_id(wanted):
        return f"{path}/{wanted}"
    ids = [
        row["id"]
        for row in _get(path, url, key)
        if row[column].casefold() == wanted.casefold() and not row.get("revoked_at")
    ]
    if len(ids) != 1:
        raise NotFound(f"{len(ids) or 'None'} of {path.rpartition('/')[2]} has the {column} '{wanted}'. Give an id.")
    return f"{path}/{ids[0]}"


def _get(path: str, url: str | None, key: str | None) -> Any:
    from deployments.commands.api import Api

    with Api(url, key) as api:
        return api.get(path)


def send(method: str, path: str, body: Any, url: str | None, key: str | None) -> Any:
    from deployments.commands.api import Api

    with Api(url, key) as api:
        return api.send(method, path, body)


def show_rows(
    rows: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool, nothing: str = "There is nothing to list."
) -> None:
    """Print a table, or the sentence that there is `nothing`."""
    import json

    from rich.markup import escape

    from deployments.commands.printing import is_empty, open_console, table

    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    if is_empty(rows, nothing):
        return
    made = table(*columns)
    for row in rows:
        made.add_row(*(escape("" if row[name] is None else str(row[name])) for name in columns))
    open_console().print(made)
