"""Where nobody has run `kowai up`, as in containers, the schema's own process makes what the others read."""

from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from deployments.local.schema import ensure_database, prepare_database
from deployments.local.secret_files import MAKERS
from kowai.errors import CannotStart
from kowai.settings import settings
from tests.conftest import PASSWORD


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_in_another_encoding_is_refused_and_left_alone(database_url: str, encoding: str) -> None:
    url = make_url(database_url).set(database=f"other_{encoding.lower()}").render_as_string(hide_password=False)
    with psycopg.connect(database_url, autocommit=True) as owner:
        name = sql.Identifier(f"other_{encoding.lower()}")
        made = sql.SQL("create database {} encoding {} locale 'C' template template0")
        owner.execute(made.format(name, sql.Literal(encoding)))
        try:
            with pytest.raises(CannotStart, match=f"keeps its text as {encoding}, and KowAI needs UTF8"):
                prepare_database(url)
            with psycopg.connect(url) as other:
                assert other.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (0,)
        finally:
            owner.execute(sql.SQL("drop database {}").format(name))


def test_a_missing_database_is_made_in_utf8(database_url: str) -> None:
    url = make_url(database_url).set(database="made_anew").render_as_string(hide_password=False)
    ensure_database(url)
    try:
        ensure_database(url)
    finally:
        with psycopg.connect(database_url, autocommit=True) as owner:
            owner.execute("drop database made_anew")


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
