"""Training methods, one file each: what a method adds to the frozen base. A new file in this folder is found by itself."""

import importlib
import pkgutil

from studio.methods.method import Method, MethodSettings

METHODS: dict[str, Method] = {
    module.METHOD.name: module.METHOD
    for module in (
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
        if found.name != "method"
    )
}

__all__ = ["METHODS", "Method", "MethodSettings"]
