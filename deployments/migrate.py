"""Bring a database to the newest schema and make the role that may only see one tenant at a time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import URL, NullPool, create_engine, make_url, text

from kowai.tenancy import APPLICATION_ROLE

MIGRATIONS = Path(__file__).parent.parent / "infra" / "migrations"
FIND_ROLE = text("select 1 from pg_roles where rolname = :role")


def configuration(owner_url: str) -> Config:
    """Return Alembic's configuration for the database that `owner_url` names."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = _url(owner_url)
    return config


def migrate(owner_url: str, app_password: str) -> str:
    """Make the application role, run every missing migration and return the application's URL."""
    _make_role(owner_url, app_password)
    command.upgrade(configuration(owner_url), "head")
    application = make_url(owner_url).set(username=APPLICATION_ROLE, password=app_password)
    return application.render_as_string(hide_password=False)


def _make_role(owner_url: str, password: str) -> None:
    """Create or update the role: it logs in, owns nothing and obeys row-level security."""
    engine = create_engine(_url(owner_url), poolclass=NullPool)
    with engine.begin() as connection:
        known = connection.scalar(FIND_ROLE, {"role": APPLICATION_ROLE})
        statement = sql.SQL("{} role {} with login nosuperuser nobypassrls password {}").format(
            sql.SQL("alter" if known else "create"), sql.Identifier(APPLICATION_ROLE), sql.Literal(password)
        )
        connection.exec_driver_sql(statement.as_string().replace("%", "%%"))
    engine.dispose()


def _url(owner_url: str) -> URL:
    return make_url(owner_url).set(drivername="postgresql+psycopg")
