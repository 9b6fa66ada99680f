"""The kinds of findings, one file each. A new file in this folder is found by itself."""

import importlib
import pkgutil

from studio.row_checks.check import Check

_modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
CHECKS: dict[str, Check] = {check.name: check for module in _modules for check in module.CHECKS}
