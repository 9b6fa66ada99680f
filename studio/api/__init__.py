"""The HTTP API, one file per resource, on the same functions as the pages. A new file in this folder is found by itself."""

import importlib
import pkgutil

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return [module.ROUTER for module in modules if hasattr(module, "ROUTER")]
