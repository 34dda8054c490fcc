"""Appwrite's own description of its server's API, version 1.8.1, which the replies of our stand-in are held to.

What SDK 27 and the 2.x servers it speaks to have changed since is patched: a row's `$sequence` is text now.
"""

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

DATA = Path(os.environ.get("KOWAI_DATA", Path(__file__).parents[2] / "shared" / "data"))
PATH = DATA / "appwrite-openapi-1.8.1.json"
ABSENT = "Appwrite's OpenAPI document is absent: set KOWAI_DATA to the folder that holds appwrite-openapi-1.8.1.json"


@cache
def _specification() -> dict[str, Any]:
    specification = json.loads(PATH.read_text())
    specification["components"]["schemas"]["row"]["properties"]["$sequence"] = {"type": "string"}
    return _translated(specification)


def _translated(node: Any) -> Any:
    """Return OpenAPI 3.0's way of saying that something may be null in JSON Schema's."""
    if isinstance(node, list):
        return [_translated(each) for each in node]
    if not isinstance(node, dict):
        return node
    known = {name: _translated(each) for name, each in node.items()}
    return {"anyOf": [known, {"type": "null"}]} if known.pop("nullable", False) is True else known


def fault(method: str, path: str, status: int, body: bytes) -> str | None:
    """Return what is wrong with a reply by Appwrite's own description; None when nothing is, or it is not there."""
    if status >= 400:
        told = json.loads(body)
        right = (
            isinstance(told.get("message"), str) and isinstance(told.get("type"), str) and told.get("code") == status
        )
        return None if right else f"not Appwrite's shape of an error: {told}"
    if not PATH.exists():
        return None
    templates = [known for known in _specification()["paths"] if _matches(known, path)]
    described = [_specification()["paths"][known].get(method.lower()) for known in sorted(templates, key=_holes)]
    operation = next((each for each in described if each), None)
    if operation is None:
        return f"Appwrite knows no {method} {path}"
    if str(status) not in operation["responses"]:
        return f"{method} {path} never answers {status}"
    content = operation["responses"][str(status)].get("content", {})
    if "application/json" not in content:
        return None
    schema = {**content["application/json"]["schema"], "components": _specification()["components"]}
    errors = jsonschema.Draft7Validator(schema).iter_errors(json.loads(body))
    return next((f"{method} {path}: {error.message} at {list(error.path)}" for error in errors), None)


def _matches(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) is not None


def _holes(template: str) -> int:
    return template.count("{")
