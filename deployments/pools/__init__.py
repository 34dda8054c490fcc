"""One file for each kind of work pool: its type and what differs from Prefect's own base job template."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import prefect
import yaml
from prefect.workers.base import BaseWorker

from kowai.errors import InvalidInput

FOLDER = Path(__file__).parent
REGISTRY = "server/api/collections_data/views/aggregate-worker-metadata.json"


class Pool(NamedTuple):
    """Hold a work pool's type and the template its jobs are made from."""

    type: str
    template: dict[str, Any]


def kinds() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_pool(kind: str) -> Pool:
    """Return the pool that `KIND.yaml` describes. Raises InvalidInput for one that is not there or sets nonsense."""
    if kind not in kinds():
        raise InvalidInput(f"There is no kind of work pool '{kind}'; choose among {', '.join(kinds())}.")
    described = yaml.safe_load((FOLDER / f"{kind}.yaml").read_text())
    template = default_template(described["type"])
    variables = template["variables"]["properties"]
    if unknown := set(described["defaults"]) - set(variables):
        raise InvalidInput(f"A work pool of the type '{described['type']}' has no variable {', '.join(unknown)}.")
    for name, value in described["defaults"].items():
        variables[name]["default"] = value
    return Pool(described["type"], template)


def default_template(kind: str) -> dict[str, Any]:
    """Return a worker type's own template: of the package installed here, or else as Prefect lists it."""
    worker = BaseWorker.get_worker_class_from_type(kind)
    if worker is not None:
        return worker.get_default_base_job_template()
    registry = json.loads((Path(prefect.__file__).parent / REGISTRY).read_text())
    known = {worker["type"]: worker for package in registry.values() for worker in package.values()}
    return known[kind]["default_base_job_configuration"]
