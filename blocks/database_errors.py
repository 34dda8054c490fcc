"""What PostgreSQL says about a statement that failed, without the values: it ends in logs and, pickled, in Prefect."""

import re
from typing import Any

import psycopg
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

# The primary message alone (PostgreSQL, "Error Message Style Guide"): details, context and excerpts of the statement
# show rows and literals, and what stands in quotation marks may be one.
QUOTED = re.compile(r'".*"', re.DOTALL)
LITERAL = re.compile(r"'[^']*'")
NAMED = ("table_name", "column_name", "constraint_name")


def hide_values(engine: AsyncEngine) -> None:
    """Take the values out of what is said about every error of this engine; its type and SQLSTATE stay."""
    event.listen(engine.sync_engine, "handle_error", _hide)


def _hide(context: ExceptionContext) -> None:
    error = context.original_exception
    if isinstance(error, psycopg.Error) and error.sqlstate:
        told = hide(error)
        if (shown := context.sqlalchemy_exception) is not None:
            shown.args, shown.params = (f"({type(error).__name__}) {told}",), None
            shown.statement = LITERAL.sub("'...'", shown.statement or "")


def hide(error: psycopg.Error) -> str:
    """Take the values out of what the driver says, and what it knows beyond that; return the rest."""
    if error.sqlstate and error.diag.message_primary is not None:
        error.__init__(without_values(error))
    return str(error)


def without_values(error: psycopg.Error) -> str:
    """Return SQLSTATE, what kind of error it is and which table, column or constraint it is about."""
    diagnosis: Any = error.diag
    named = [f"{name.removesuffix('_name')} {value}" for name in NAMED if (value := getattr(diagnosis, name))]
    message = QUOTED.sub('"..."', diagnosis.message_primary or "")
    return ", ".join([f"{error.sqlstate} {message}", *named])
