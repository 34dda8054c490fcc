"""What prefect.yaml lists, and the flows it names."""

import importlib
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from prefect import Flow

CATALOGUE = Path(__file__).parent.parent / "prefect.yaml"


def catalogue() -> list[dict[str, Any]]:
    """Return the deployments that prefect.yaml lists."""
    return yaml.safe_load(CATALOGUE.read_text())["deployments"]


@cache
def stanzas() -> dict[str, dict[str, Any]]:
    return {stanza["name"]: stanza for stanza in catalogue()}


def load_flow(entrypoint: str) -> Flow[..., Any]:
    """Return the flow that a module-path entrypoint names."""
    module, _, attribute = entrypoint.rpartition(".")
    return getattr(importlib.import_module(module), attribute)
