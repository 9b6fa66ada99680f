"""Training methods, one file each: what a method adds to the frozen base. A new file with a METHOD is found by itself."""

import importlib
import pkgutil

from studio.methods.method import Method, MethodSettings

_modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
_found: list[Method] = [module.METHOD for module in _modules if hasattr(module, "METHOD")]

METHODS: dict[str, Method] = {method.name: method for method in sorted(_found, key=lambda method: method.place)}

__all__ = ["METHODS", "Method", "MethodSettings"]
