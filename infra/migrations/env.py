"""Let Alembic see KowAI's tables and run inside one transaction under an advisory lock."""

import importlib
import pkgutil

from alembic import context
from sqlalchemy import NullPool, create_engine, text
from sqlmodel import SQLModel

import kowai.tables

for module in pkgutil.iter_modules(kowai.tables.__path__):
    importlib.import_module(f"kowai.tables.{module.name}")

ONE_AT_A_TIME = 4_072_001


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Leave alone the vector indexes that each embedding space brings."""
    return not (kind == "index" and (name or "").startswith("ix_space_"))


engine = create_engine(context.config.attributes["url"], poolclass=NullPool)
with engine.begin() as connection:
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
    context.configure(connection=connection, target_metadata=SQLModel.metadata, include_name=include_name)
    context.run_migrations()
