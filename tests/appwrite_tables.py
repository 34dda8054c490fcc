"""Databases, tables with their columns and indexes, and rows, which columns hold to their kinds."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

KINDS = {"string": str, "varchar": str, "text": str, "longtext": str, "datetime": str, "boolean": bool, "float": float}


def add_routes(app: FastAPI, server: Any) -> None:
    from tests.appwrite_server import Refusal, by_key, held, matching, now, selected, stamped

    def table_of(database: str, table: str) -> dict[str, Any]:
        held(server.databases, database, "database_not_found")
        return held(server.tables, f"{database}/{table}", "table_not_found")

    @app.get("/v1/tablesdb/{database}")
    async def get_database(database: str, request: Request) -> Response:
        by_key(request)
        return JSONResponse(held(server.databases, database, "database_not_found"))

    @app.post("/v1/tablesdb")
    async def add_database(request: Request) -> Response:
        by_key(request)
        asked = await request.json()
        made = stamped(asked["databaseId"]) | {"name": asked["name"], "enabled": True, "type": "tablesdb"}
        server.databases[asked["databaseId"]] = made
        return JSONResponse(made, 201)

    @app.get("/v1/tablesdb/{database}/tables/{table}")
    async def get_table(database: str, table: str, request: Request) -> Response:
        by_key(request)
        return JSONResponse(table_of(database, table))

    @app.post("/v1/tablesdb/{database}/tables")
    async def add_table(database: str, request: Request) -> Response:
        by_key(request)
        held(server.databases, database, "database_not_found")
        asked = await request.json()
        known = {"name": asked["name"], "enabled": True, "rowSecurity": asked.get("rowSecurity", False)}
        sizes = {"bytesMax": 65_535, "bytesUsed": 0, "columns": [], "indexes": []}
        made = stamped(asked["tableId"]) | known | sizes
        made |= {"$permissions": asked.get("permissions", []), "databaseId": database}
        server.tables[f"{database}/{asked['tableId']}"] = made
        return JSONResponse(made, 201)

    @app.post("/v1/tablesdb/{database}/tables/{table}/columns/{kind}")
    async def add_column(database: str, table: str, kind: str, request: Request) -> Response:
        by_key(request)
        columns, asked = table_of(database, table)["columns"], await request.json()
        if any(column["key"] == asked["key"] for column in columns):
            raise Refusal(409, "column_already_exists")
        dates = {"$createdAt": now(), "$updatedAt": now()}
        made = {"key": asked["key"], "type": _type(kind), "status": "processing", "error": "", "array": False} | dates
        made |= {"required": asked["required"], "default": None} | _details(kind, asked)
        columns.append(made | {"status": "available"})
        return JSONResponse(made, 202)

    @app.post("/v1/tablesdb/{database}/tables/{table}/indexes")
    async def add_index(database: str, table: str, request: Request) -> Response:
        by_key(request)
        known, asked = table_of(database, table), await request.json()
        if not {*asked["columns"]} <= {column["key"] for column in known["columns"]}:
            raise Refusal(400, "column_unknown")
        made = stamped(asked["key"]) | {"key": asked["key"], "type": asked["type"], "columns": asked["columns"]}
        made |= {"status": "available", "error": "", "lengths": [], "orders": asked.get("orders", [])}
        known["indexes"].append(made)
        return JSONResponse(made, 202)

    @app.put("/v1/tablesdb/{database}/tables/{table}/rows/{name}")
    async def put_row(database: str, table: str, name: str, request: Request) -> Response:
        by_key(request)
        known, asked = table_of(database, table), await request.json()
        _check(known["columns"], asked["data"], Refusal)
        place = f"{database}/{table}/{name}"
        sequence = server.rows.get(place, {}).get("$sequence", str(len(server.rows) + 1))
        own = {"$sequence": sequence, "$tableId": table, "$databaseId": database}
        row = stamped(name) | own | {"$permissions": asked.get("permissions", [])} | asked["data"]
        server.rows[place] = row
        return JSONResponse(row, 201)

    @app.get("/v1/tablesdb/{database}/tables/{table}/rows")
    async def list_rows(database: str, table: str, request: Request) -> Response:
        by_key(request)
        table_of(database, table)
        own = [row for row in server.rows.values() if (row["$databaseId"], row["$tableId"]) == (database, table)]
        return JSONResponse({"total": len(own), "rows": selected(own, request)})

    @app.delete("/v1/tablesdb/{database}/tables/{table}/rows/{name}")
    async def delete_row(database: str, table: str, name: str, request: Request) -> Response:
        by_key(request)
        table_of(database, table)
        if server.rows.pop(f"{database}/{table}/{name}", None) is None:
            raise Refusal(404, "row_not_found")
        return Response(status_code=204)

    @app.delete("/v1/tablesdb/{database}/tables/{table}/rows")
    async def delete_rows(database: str, table: str, request: Request) -> Response:
        import json

        by_key(request)
        table_of(database, table)
        queries = [json.loads(text) for text in (await request.json()).get("queries", [])]
        own = [row for row in server.rows.values() if (row["$databaseId"], row["$tableId"]) == (database, table)]
        gone = matching(own, queries)
        for row in gone:
            del server.rows[f"{database}/{table}/{row['$id']}"]
        return JSONResponse({"total": len(gone), "rows": gone})


def _type(kind: str) -> str:
    return {"float": "double"}.get(kind, kind)


def _details(kind: str, asked: dict[str, Any]) -> dict[str, Any]:
    if kind == "datetime":
        return {"format": "datetime"}
    return {"size": int(asked["size"])} if kind in ("string", "varchar") else {}


def _check(columns: list[dict[str, Any]], data: dict[str, Any], refusal: Any) -> None:
    known = {column["key"]: column for column in columns}
    for name, value in data.items():
        if name not in known:
            raise refusal(400, "row_invalid_structure", f"Unknown column {name}")
        wanted = KINDS[{"double": "float"}.get(known[name]["type"], known[name]["type"])]
        if value is not None and not isinstance(value, (wanted, int) if wanted is float else wanted):
            raise refusal(400, "row_invalid_structure", f"{name} has the wrong type")
        if isinstance(value, str) and len(value) > known[name].get("size", 1_073_741_823):
            raise refusal(400, "row_invalid_structure", f"{name} is too long")
    missing = [name for name, column in known.items() if column["required"] and data.get(name) is None]
    if missing:
        raise refusal(400, "row_invalid_structure", f"missing {missing}")
