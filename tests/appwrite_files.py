"""Buckets and their files, whole or in parts told by `content-range`."""

import hashlib
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

CHUNK = 5 * 1024 * 1024


def add_routes(app: FastAPI, server: Any) -> None:
    from tests.appwrite_server import Refusal, by_key, held, now, number, selected, stamped

    def visible(bucket: str, name: str) -> dict[str, Any]:
        held(server.buckets, bucket, "storage_bucket_not_found")
        return held(server.files, f"{bucket}/{name}", "storage_file_not_found")

    @app.get("/v1/storage/buckets/{bucket}")
    async def get_bucket(bucket: str, request: Request) -> Response:
        by_key(request)
        return JSONResponse(held(server.buckets, bucket, "storage_bucket_not_found"))

    @app.post("/v1/storage/buckets")
    async def add_bucket(request: Request) -> Response:
        by_key(request)
        asked = await request.json()
        made = described(asked)
        server.buckets[asked["bucketId"]] = made
        return JSONResponse(made, 201)

    @app.post("/v1/storage/buckets/{bucket}/files")
    async def add_file(bucket: str, request: Request) -> Response:
        by_key(request)
        held(server.buckets, bucket, "storage_bucket_not_found")
        form = await request.form()
        upload: Any = form["file"]
        data, name = await upload.read(), str(form["fileId"])
        if len(data) > CHUNK:
            raise Refusal(400, "storage_invalid_file_size")
        told = request.headers.get("content-range", f"bytes 0-{len(data) - 1}/{len(data)}" if data else "bytes 0-0/0")
        server.ranges.append(told)
        start, end, size = number(told, r"bytes (\d+)-(\d+)/(\d+)")
        place = f"{bucket}/{name}"
        if size and (len(data) != end - start + 1 or start % CHUNK or (end < size - 1 and len(data) < CHUNK)):
            raise Refusal(400, "storage_invalid_content_range")
        if start and request.headers.get("x-appwrite-id") != name:
            raise Refusal(400, "storage_invalid_appwrite_id")
        if start == 0 and place in server.files:
            raise Refusal(409, "storage_file_already_exists")
        file = server.files.setdefault(place, stamped(name) | _file(bucket, upload.filename, size) | {"parts": {}})
        file["parts"][start] = data
        file["chunksUploaded"] = len(file["parts"])
        whole = b"".join(file["parts"][at] for at in sorted(file["parts"]))
        file["signature"] = hashlib.md5(whole, usedforsecurity=False).hexdigest()
        return JSONResponse(shown(file), 201)

    @app.get("/v1/storage/buckets/{bucket}/files")
    async def list_files(bucket: str, request: Request) -> Response:
        by_key(request)
        held(server.buckets, bucket, "storage_bucket_not_found")
        own = [shown(file) for file in server.files.values() if file["bucketId"] == bucket]
        return JSONResponse({"total": len(own), "files": selected(own, request)})

    @app.get("/v1/storage/buckets/{bucket}/files/{name}")
    async def get_file(bucket: str, name: str, request: Request) -> Response:
        by_key(request)
        return JSONResponse(shown(visible(bucket, name)))

    @app.put("/v1/storage/buckets/{bucket}/files/{name}")
    async def change_file(bucket: str, name: str, request: Request) -> Response:
        by_key(request)
        file = visible(bucket, name)
        file["$updatedAt"], file["name"] = now(), (await request.json())["name"]
        return JSONResponse(shown(file))

    @app.delete("/v1/storage/buckets/{bucket}/files/{name}")
    async def delete_file(bucket: str, name: str, request: Request) -> Response:
        by_key(request)
        visible(bucket, name)
        del server.files[f"{bucket}/{name}"]
        return Response(status_code=204)

    @app.get("/v1/storage/buckets/{bucket}/files/{name}/download")
    async def download(bucket: str, name: str, request: Request) -> Response:
        by_key(request)
        parts = visible(bucket, name)["parts"]
        content = b"".join(parts[at] for at in sorted(parts))
        media_type, wanted = "application/json" if content[:1] == b"{" else "text/plain", request.headers.get("range")
        if wanted is None:
            return Response(content, media_type=media_type)
        start, end = number(wanted, r"bytes=(\d+)-(\d+)")
        server.ranges.append(wanted)
        if start >= end or end >= len(content):
            raise Refusal(416, "storage_invalid_range")
        return Response(content[start : end + 1], 206, media_type=media_type)


def shown(file: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in file.items() if name != "parts"}


def _file(bucket: str, name: str, size: int) -> dict[str, Any]:
    counts = {"sizeOriginal": size, "chunksTotal": max(1, -(-size // CHUNK)), "chunksUploaded": 0}
    texts = {"bucketId": bucket, "name": name, "signature": "", "mimeType": "text/plain", "compression": "none"}
    return texts | counts | {"$permissions": [], "encryption": True}


def described(asked: dict[str, Any]) -> dict[str, Any]:
    from tests.appwrite_server import stamped

    texts = {"name": asked["name"], "compression": "none", "allowedFileExtensions": []}
    flags = {"enabled": True, "encryption": True, "antivirus": True, "transformations": True}
    limits = {"maximumFileSize": int(asked.get("maximumFileSize", 30_000_000)), "totalSize": 0}
    made = stamped(asked["bucketId"]) | texts | flags | limits
    return made | {"$permissions": asked.get("permissions", []), "fileSecurity": asked.get("fileSecurity", False)}
