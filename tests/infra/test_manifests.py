"""What is deployed elsewhere is of the published schemas: Kubernetes' own and the Compose Specification."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose
from prefect.utilities.templating import apply_values

from deployments.pools import load_pool

INFRA = Path(__file__).parents[2] / "infra"
VERSION = kubernetes_validate.latest_version()
MANIFESTS = [
    document for path in (INFRA / "kubernetes").glob("*.yaml") for document in yaml.safe_load_all(path.read_text())
]


@pytest.mark.parametrize("document", MANIFESTS, ids=lambda found: f"{found['kind']}-{found['metadata']['name']}")
def test_a_manifest_is_of_kubernetes_own_schema_with_no_unknown_field(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, VERSION, strict=True)


def job(**more: Any) -> dict[str, Any]:
    """Return the job that the pool's template makes of its defaults and what a run adds."""
    template = load_pool("kubernetes").template
    variables = template["variables"]["properties"].items()
    values = {name: found["default"] for name, found in variables if found.get("default") is not None}
    run = {"name": "run", "labels": {"prefect.io/flow-run-name": "run"}, "command": ["prefect", "flow-run", "execute"]}
    return apply_values(template["job_configuration"]["job_manifest"], values | run | more)


def test_a_job_of_the_kubernetes_pool_is_of_kubernetes_job_schema() -> None:
    made = job(env=[{"name": "KOWAI_STATE", "value": "/state"}], cpu_limit="1", memory_limit="2Gi")
    kubernetes_validate.validate(made, VERSION)
    container = made["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], made["metadata"]["namespace"]) == ("kowai:latest", "kowai")


def test_a_job_with_a_field_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job(finished_job_ttl="soon"), VERSION)


def composed() -> dict[str, Any]:
    """Return the file with its variables put in, as Compose does before it looks: their defaults, or a word."""
    text = (INFRA / "compose.yaml").read_text()
    return yaml.safe_load(re.sub(r"\$\{\w+(?::-([^}]*)|:\?)?\}", lambda found: found[1] or "word", text))


def test_the_compose_file_is_of_the_compose_specification() -> None:
    services = PyCompose.from_json(json.dumps(composed())).service_names()
    assert {"database", "prefect", "redis", "schema", "shim", "worker"} <= set(services)


def test_a_compose_file_with_a_wrong_key_is_refused() -> None:
    wrong = composed()
    wrong["services"]["redis"]["imagee"] = "redis"
    with pytest.raises(ValueError, match="imagee"):
        PyCompose.from_json(json.dumps(wrong))


@pytest.mark.docker
def test_docker_compose_takes_the_file() -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("there is no docker compose here")
    secrets = ("DATABASE_PASSWORD", "APP_PASSWORD", "PREFECT_DATABASE_PASSWORD", "PREFECT_AUTH")
    command = ["docker", "compose", "--file", str(INFRA / "compose.yaml"), "config", "--quiet"]
    ended = subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", **dict.fromkeys(secrets, "x")}, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
