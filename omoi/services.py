"""Which services there are."""

import importlib
import pkgutil
from functools import cache

import services
from shared.kernel.declaration import Service


@cache
def all_services() -> dict[str, Service]:
    """Every service of the code, by name: `services/<name>/service.py` declares the value `<name>`."""
    found = {}
    for module in pkgutil.iter_modules(services.__path__):
        if module.ispkg:
            declared = importlib.import_module(f"services.{module.name}.service")
            found[module.name] = getattr(declared, module.name)
    return found
