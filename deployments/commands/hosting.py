"""Make, suspend, export and erase tenants."""

from pathlib import Path
from typing import Annotated

import typer

from deployments.commands.entering import one_of, send, show_rows
from deployments.commands.options import Json, Key, State, Url

tenants = typer.Typer(name="tenants", help="Make, suspend, export and erase tenants.", no_args_is_help=True)

Tenant = Annotated[str, typer.Argument(help="The tenant's name or id.")]
TENANTS = "/api/v1/tenants"


@tenants.command("list")
def list_tenants(url: Url = None, key: Key = None, as_json: Json = False, state: State = None) -> None:
    """List all tenants."""
    from deployments.commands.api import Api

    with Api(url, key) as api:
        show_rows(api.get(TENANTS), ("id", "name", "suspended", "created_at"), as_json)


@tenants.command("add")
def add_tenant(name: str, url: Url = None, key: Key = None, state: State = None) -> None:
    """Make a tenant and print its first admin's key, this once."""
    made = send("POST", TENANTS, {"name": name}, url, key)
    typer.echo(f"{made['tenant']['id']}\n{made['key']}")


@tenants.command("suspend")
def suspend_tenant(tenant: Tenant, url: Url = None, key: Key = None, state: State = None) -> None:
    """Stop every request and every run of a tenant."""
    send("PATCH", one_of(TENANTS, tenant, "name", url, key), {"suspended": True}, url, key)


@tenants.command("resume")
def resume_tenant(tenant: Tenant, url: Url = None, key: Key = None, state: State = None) -> None:
    """Let a suspended tenant go on."""
    send("PATCH", one_of(TENANTS, tenant, "name", url, key), {"suspended": False}, url, key)


@tenants.command("export")
def export_tenant(
    tenant: Tenant,
    to: Annotated[Path, typer.Argument(help="The ZIP file to write.")],
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Write everything of a tenant into a ZIP file: a JSON Lines file for each table, and the originals."""
    from deployments.commands.api import Api

    path = one_of(TENANTS, tenant, "name", url, key)
    with Api(url, key) as api:
        export = api.post(f"{path}/export")
        with api.stream("GET", f"{path}/exports/{export['name']}") as content, to.open("wb") as file:
            for piece in content.iter_bytes():
                file.write(piece)
    typer.echo(f"{sum(export['rows'].values()):,} rows and {export['files']:,} files are in {to}.")


@tenants.command("erase")
def erase_tenant(tenant: Tenant, url: Url = None, key: Key = None, state: State = None) -> None:
    """Erase a suspended tenant for good and print the certificate."""
    import json

    path = one_of(TENANTS, tenant, "name", url, key)
    name = typer.prompt("This cannot be undone. The tenant's name")
    typer.echo(json.dumps(send("DELETE", path, {"name": name}, url, key), indent=2))
