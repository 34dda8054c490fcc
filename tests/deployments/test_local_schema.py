"""Where nobody has run `kowai up`, as in containers, the schema's own process makes what the others read."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from deployments.local.schema import prepare_database
from deployments.local.secret_files import MAKERS
from kowai.settings import settings
from tests.conftest import PASSWORD


def test_a_new_state_gets_its_secrets_once(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOWAI_STATE", str(tmp_path / "state"))
    given = make_url(database_url).set(username="kowai_app", password=PASSWORD)
    monkeypatch.setenv("KOWAI_APP_DATABASE_URL", given.render_as_string(hide_password=False))
    settings.cache_clear()
    secrets = tmp_path / "state" / "secrets"
    prepare_database(database_url)
    made = {name: (secrets / name).read_text() for name in MAKERS}
    prepare_database(database_url)
    assert {name: (secrets / name).read_text() for name in MAKERS} == made
    assert PASSWORD in (secrets / "app-database-url").read_text()
    assert secrets.stat().st_mode & 0o777 == 0o700
    settings.cache_clear()
