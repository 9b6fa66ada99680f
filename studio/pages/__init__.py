"""What people see: one file per page, or one folder of a page with many parts. A new one that declares PAGE is found by itself."""

import importlib
import pkgutil

from studio.pages.page import Page

_MODULES = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]

# Every page, in the order of the navigation.
PAGES: list[Page] = sorted(
    (module.PAGE for module in _MODULES if hasattr(module, "PAGE")), key=lambda page: (page.order, page.title)
)
