"""Data formats, one file each: how a row of it looks and which conversation it means. A new file in this folder is found by itself."""

import importlib
import pkgutil

from studio.formats.format import KINDS, Conversation, Document, Format, Found, Kind, Pair, RowFault

_modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in _modules if hasattr(module, "FORMAT")}

__all__ = ["FORMATS", "KINDS", "Conversation", "Document", "Format", "Found", "Kind", "Pair", "RowFault"]
