"""A persona learns in a run of the deployment on the warm worker of a real `kowai up`, on a scripted model."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deployments.local.secret_files import read_secret
from tests.deployments.test_local_up import Installation
from tests.flows.conftest import TEA
from tests.flows.test_optimise import CASES, QUESTION, Pupil
from tests.model_server import ModelServer, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
CONFIGURE = """
import sys
from blocks.language_model import LanguageModel, Target

target = Target(name="local", model="local-model", endpoint=sys.argv[1], input_price=1, output_price=1)
LanguageModel(targets=[target], request_limit=5).save("kowai", overwrite=True)
"""


@pytest.fixture
def pupil() -> Iterator[ModelServer]:
    with serving() as server:
        Pupil(server)
        yield server


@pytest.fixture
def kowai(pupil: ModelServer) -> Iterator[Installation]:
    """Return an installation that runs, whose model is the pupil."""
    made = Installation()
    started = made.run("up", "--bare", "--detach")
    assert started.returncode == 0, started.stdout + started.stderr
    prefect = f"http://127.0.0.1:{made.environment['KOWAI_PREFECT_PORT']}/api"
    own = {"PREFECT_API_URL": prefect, "PREFECT_API_AUTH_STRING": read_secret(made.place.secrets, "prefect-auth")}
    command = [sys.executable, "-c", CONFIGURE, f"{pupil.url}/v1"]
    subprocess.run(command, env=made.environment | own, check=True, timeout=120)
    yield made
    made.run("down")
    shutil.rmtree(made.place.root.parent)


def test_a_persona_learns_on_the_warm_worker_and_what_it_learned_goes_live(kowai: Installation, tmp_path: Path) -> None:
    (tmp_path / "tea.md").write_text(TEA)
    assert kowai.run("ingest", str(tmp_path / "tea.md")).returncode == 0
    cases = [f'{{id: case-{n}, question: "{QUESTION.format(n)}", facts: [three minutes]}}' for n in range(CASES)]
    suite = "cases:\n" + "".join(f"  - {case}\n" for case in cases)
    key = {"Authorization": f"Bearer {read_secret(kowai.place.secrets, 'api-key')}"}
    with httpx.Client(base_url=kowai.url, headers=key, timeout=60) as api:
        files = {"files": ("tea.yaml", suite.encode())}
        assert api.post("/api/v1/suites", files=files).status_code == 201
        learned = kowai.run("optimise", "assistant", "tea", "--minutes", "10", "--approve-above", "1000")
        assert learned.returncode == 0, learned.stdout + learned.stderr
        (found,) = api.get("/api/v1/optimisations").json()
        assert (found["outcome"], found["promotion"], found["stopped_by"]) == ("improved", "promoted", None)
        runs = api.post("/prefect/api/flow_runs/filter", json={"flows": {"name": {"any_": ["optimise"]}}}).json()
        assert [run["state"]["name"] for run in runs] == ["Promoted"]
        (version,) = api.get("/api/v1/versions?slot=prompt:assistant").json()
        assert (version["version_id"], version["live"]) == (found["version_id"], True)
        assert version["content"]["demos"]
