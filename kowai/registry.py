"""The one plug-in mechanism: a plug-in is a module in a folder that defines an object of the folder's kind."""

import importlib
import pkgutil
from typing import TypeVar

Kind = TypeVar("Kind")


def discover(package: str, kind: type[Kind]) -> dict[str, Kind]:
    """Return the one `kind` instance that each module of `package` defines, by module name."""
    folder = importlib.import_module(package)
    found: dict[str, Kind] = {}
    for name in sorted(info.name for info in pkgutil.iter_modules(folder.__path__)):
        module = importlib.import_module(f"{package}.{name}")
        instances = [value for value in vars(module).values() if isinstance(value, kind)]
        if len(instances) != 1:
            raise TypeError(f"{module.__name__} must define exactly one {kind.__name__}, not {len(instances)}")
        found[name] = instances[0]
    return found
