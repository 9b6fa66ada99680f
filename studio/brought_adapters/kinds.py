"""The methods by PEFT's names for them: which can be brought, and what the others are called when they are refused."""

from typing import Any

from studio.brought_adapters import fronts, layered, lora
from studio.brought_adapters.found import FoundAdapter, refused
from studio.brought_adapters.settings import read_settings
from studio.errors import clip
from studio.folders import AdapterFolder
from studio.lora_files import FLOATS
from studio.model_files import read_header

READ = {
    "LORA": lora.read,
    "ADALORA": layered.read_adalora,
    "VERA": layered.read_vera,
    "IA3": layered.read_ia3,
    "OFT": layered.read_oft,
    "PREFIX_TUNING": fronts.reading("prefix_tuning"),
    "PROMPT_TUNING": fronts.reading("prompt_tuning"),
    "P_TUNING": fronts.reading("p_tuning"),
}
KNOWN = "LoRA (DoRA and rsLoRA too), AdaLoRA, VeRA, IA³, OFT, prefix tuning, prompt tuning and p-tuning"
TITLES = {
    "LOHA": "LoHa", "LOKR": "LoKr", "BOFT": "BOFT", "XLORA": "X-LoRA", "HRA": "HRA", "VBLORA": "VB-LoRA", "FOURIERFT": "FourierFT",
    "LN_TUNING": "LayerNorm tuning", "POLY": "Poly", "MULTITASK_PROMPT_TUNING": "multitask prompt tuning", "ADAPTION_PROMPT": "LLaMA-Adapter",
    "CPT": "context-aware prompt tuning", "BONE": "Bone", "MISS": "MiSS", "RANDLORA": "RandLoRA", "TRAINABLE_TOKENS": "trained tokens alone",
    "SHIRA": "SHiRA", "C3A": "C3A", "ROAD": "RoAd", "WAVEFT": "WaveFT",
}  # fmt: skip


def read_brought(folder: AdapterFolder, name: str) -> FoundAdapter:
    """What the adapter changes, from its settings and the header of its weights. Raises BadInput, saying what it is."""
    settings = read_settings(folder, name)
    read = READ.get(method_of(settings))
    if read is None:
        said = settings.get("peft_type")
        title = "not named" if said is None else TITLES.get(str(said), clip(said))
        raise refused(name, f"its method is {title}, which this studio does not have", f"Known are {KNOWN}.")
    tensors = read_header(folder.weights)
    for key, tensor in tensors.items():
        if tensor.dtype not in FLOATS:
            kind = clip(tensor.dtype)
            raise refused(name, f"'{clip(key, 120)}' is stored as {kind}, which is no floating-point type")
    return read(settings, tensors, name)


def method_of(settings: dict[str, Any]) -> str:
    said = settings.get("peft_type")
    return said if isinstance(said, str) else ""
