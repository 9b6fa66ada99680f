"""The folder of an adapter."""

from pathlib import Path

from studio.files import read_json
from studio.folders.base_models import QUANTIZATIONS
from studio.folders.folder import Folder


class AdapterFolder(Folder):
    @property
    def config(self) -> Path:
        return self.path / "adapter_config.json"

    @property
    def weights(self) -> Path:
        return self.path / "adapter_model.safetensors"

    @property
    def card(self) -> Path:
        return self.path / "README.md"

    @property
    def passport(self) -> Path:
        return self.path / "passport.json"

    @property
    def quantization(self) -> str:
        """How the base was loaded when this was trained, as its passport says: one of QUANTIZATIONS."""
        try:
            said = read_json(self.passport, {})["training"]["quantization"]
        except (ValueError, KeyError, TypeError, OSError):  # it is looked at again, in words, when it is loaded
            return "none"
        return said if said in QUANTIZATIONS else "none"
