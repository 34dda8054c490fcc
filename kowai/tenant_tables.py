"""Every table that holds rows of tenants, found in the metadata, so that a new one cannot be forgotten."""

import importlib
import pkgutil

from sqlalchemy import Table
from sqlmodel import SQLModel

import kowai.tables
from kowai.tenancy import is_tenant_owned

SECRET_COLUMNS = ("digest", "password_hash")  # what lets people in stays here, though it is only hashes


def tenant_tables() -> list[Table]:
    """Return the tables, those that others refer to before the others."""
    for module in pkgutil.iter_modules(kowai.tables.__path__):
        importlib.import_module(f"kowai.tables.{module.name}")
    return [table for table in SQLModel.metadata.sorted_tables if is_tenant_owned(table)]
