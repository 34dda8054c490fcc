"""The parameters of workflows as a client fills them in: never a tenant, and nothing that is not declared."""

import inspect
from functools import cache
from typing import Any, get_type_hints

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from deployments.catalogue import load_flow, stanzas
from deployments.shim.openings import WORKFLOWS

TENANTS = ("tenant", "tenant_id")  # always the caller's


@cache
def form_of(name: str) -> type[BaseModel]:
    """Return the model of what a client may give a workflow: the flow's own parameters, less the tenant."""
    flow = load_flow(stanzas()[name]["entrypoint"])
    hints = get_type_hints(flow.fn, include_extras=True)
    described = flow.parameters.properties
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(flow.fn).parameters.values():
        if parameter.name in (*TENANTS, *WORKFLOWS[name].hidden):
            continue
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        about = Field(default, description=described[parameter.name].get("description"))
        fields[parameter.name] = (hints[parameter.name], about)
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


def checked(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters with their defaults, as JSON has them. Raises RequestValidationError."""
    try:
        return form_of(name).model_validate(given).model_dump(mode="json")
    except ValidationError as error:
        faults = [fault | {"loc": ("body", "parameters", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from error
