"""Bring the database to the newest schema, and make the secrets that are missing, as in a state that is new."""

import sys

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from deployments.local.layout import layout, make_folders
from deployments.local.secret_files import ensure_secrets, read_secret, write_secret
from deployments.migrate import migrate
from kowai.errors import CannotStart
from kowai.settings import settings

PATIENCE_SECONDS = 5


def prepare_database(owner_url: str) -> None:
    """Create the database if it is missing, migrate it, and store the application's URL among the secrets."""
    ensure_database(owner_url)
    make_folders(layout())
    folder, own = layout().secrets, settings().app_database_url
    ensure_secrets(folder, database_exists=False)
    password = make_url(own.get_secret_value()).password if own else None
    url = migrate(owner_url, str(password or read_secret(folder, "app-database-password")))
    write_secret(folder / "app-database-url", url)


def ensure_database(owner_url: str) -> None:
    """Create the database that `owner_url` names, unless it is there. Raises CannotStart for one not in UTF-8."""
    url = make_url(owner_url).set(drivername="postgresql")
    try:
        with psycopg.connect(url.render_as_string(hide_password=False), connect_timeout=PATIENCE_SECONDS) as connection:
            encoding = connection.info.parameter_status("server_encoding")
    except psycopg.OperationalError as error:
        if "does not exist" not in str(error):
            raise
        maintenance = url.set(database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(maintenance, autocommit=True) as connection:
            name = sql.Identifier(url.database or "kowai")
            connection.execute(sql.SQL("create database {} encoding 'UTF8'").format(name))
        return
    if encoding != "UTF8":
        raise CannotStart(
            f"The database that KOWAI_DATABASE_URL names keeps its text as {encoding}, and KowAI needs UTF8: make "
            "another one by `create database NAME encoding 'UTF8' template template0`, and name that."
        )


if __name__ == "__main__":
    url = settings().database_url
    if url is None:
        sys.exit("error: KOWAI_DATABASE_URL is not set")
    try:
        prepare_database(url.get_secret_value())
    except Exception as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
