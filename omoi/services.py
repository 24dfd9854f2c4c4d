"""Which services there are."""

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

import services

if TYPE_CHECKING:
    from shared.kernel.declaration import Service


def service_names() -> list[str]:
    """Their names, without importing them."""
    return [module.name for module in pkgutil.iter_modules(services.__path__) if module.ispkg]


@cache
def all_services() -> dict[str, "Service"]:
    """Every service of the code, by name: `services/<name>/service.py` declares the value `<name>`."""
    return {
        name: getattr(importlib.import_module(f"services.{name}.service"), name) for name in service_names()
    }
