"""What a person brings as an adapter, a zip or its files, laid out flat: only the files that are taken, within limits, wherever they say they lie."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from studio.errors import BadInput, TooLarge, clip
from studio.folders import AdapterFolder
from studio.limits import check_room
from studio.model_files import inside
from studio.plan import clean_name
from studio.studio import Studio

CONFIG, WEIGHTS, PASSPORT, TEMPLATE = (
    "adapter_config.json",
    "adapter_model.safetensors",
    "passport.json",
    "chat_template.jinja",
)
TOKENIZER = "tokenizer.json"
TAKEN = (CONFIG, WEIGHTS, PASSPORT, TEMPLATE, "tokenizer_config.json", TOKENIZER)
MOST_TEXT_BYTES = 8 << 20  # of a file that is not the weights
MOST_PASSPORT_BYTES = 1 << 20  # ours have a few kB
MOST_TOKENIZER_BYTES = 64 << 20  # large vocabularies have some 20 MB
CHUNK_BYTES = 1 << 20
# What zipfile raises at damaged zips; RuntimeError when one is encrypted
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    RuntimeError,
    NotImplementedError,
    EOFError,
    OSError,
    ValueError,
)
PICKLES = ("adapter_model.bin", "adapter_model.pt", "pytorch_model.bin")


def gather(studio: Studio, files: Sequence[tuple[str, Path]], target: Path) -> None:
    """What is taken of the zip, or of the files, in one flat folder. Raises BadInput or TooLarge."""
    limit = studio.settings.max_upload_mb << 20
    check_room(studio, sum(path.stat().st_size for _, path in files))
    if len(files) == 1 and zipfile.is_zipfile(files[0][1]):
        unzip(files[0][1], target, limit)
        return
    seen: set[str] = set()
    for name, path in files:
        short = name.replace("\\", "/").rpartition("/")[2]
        if short in seen:
            raise BadInput(f"{short} was brought twice.", "Bring the files of one adapter.", "file")
        seen |= {short} & {*TAKEN, *PICKLES}
        take_file(path, short, target, limit)


def from_folder(studio: Studio, source: Path, target: Path) -> list[str]:
    """What is taken of a folder below the models folder; the names of all its files. Raises BadInput or TooLarge."""
    root, files = studio.settings.models_root, sorted(path for path in source.iterdir() if path.is_file())
    found = [path for path in files if path.name in (*TAKEN, *PICKLES)]
    check_room(studio, sum(path.stat().st_size for path in found))
    for path in found:
        take_file(inside(path, root), path.name, target, studio.settings.max_upload_mb << 20)
    return [path.name for path in files]


def take_file(path: Path, name: str, target: Path, limit: int) -> None:
    if name in TAKEN or name in PICKLES:
        with open(path, "rb") as source:
            copy(source, target / name, limit_of(name, limit), keep_what_fits=name in PICKLES)


def limit_of(name: str, limit: int) -> int:
    return {WEIGHTS: limit, TOKENIZER: MOST_TOKENIZER_BYTES, PASSPORT: MOST_PASSPORT_BYTES}.get(name, MOST_TEXT_BYTES)


def unzip(path: Path, target: Path, limit: int) -> None:
    """The folder of the zip that holds adapter_config.json; nothing else of it is looked at."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = entries_of(archive)
            tops = [name[: -len(CONFIG)] for name in entries if name == CONFIG or name.endswith(f"/{CONFIG}")]
            if len(tops) > 1:
                raise BadInput(f"The zip holds {len(tops)} adapters.", "Bring one at a time.", "file")
            if not tops:
                raise BadInput(
                    "The zip holds no adapter_config.json, so it is no adapter.",
                    "Bring the folder that PEFT has saved.",
                    "file",
                )
            for name in (*TAKEN, *PICKLES):
                entry = entries.get(tops[0] + name)
                if entry is not None:
                    with archive.open(entry) as source:
                        copy(source, target / name, limit_of(name, limit), keep_what_fits=name in PICKLES)
    except UNREADABLE as error:
        raise BadInput(
            f"The zip cannot be read: {clip(error, 100)}.",
            "Pack the adapter's folder again, without a password.",
            "file",
        ) from None


def entries_of(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files in the zip by name. Raises BadInput for a name that stands in it twice: programs differ in which they take."""
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        if entry.is_dir():
            continue
        if entry.filename in found:
            raise BadInput(
                f"{clip(entry.filename, 100)} is in the zip twice.", "Pack the adapter's folder again.", "file"
            )
        if stat.S_ISLNK(entry.external_attr >> 16) and entry.filename.rpartition("/")[2] in TAKEN:
            raise BadInput(f"{clip(entry.filename, 100)} is a link in the zip.", "Pack the files themselves.", "file")
        found[entry.filename] = entry
    return found


def copy(source: IO[bytes], target: Path, limit: int, keep_what_fits: bool = False) -> None:
    """At most `limit` bytes, whatever the file says of its size."""
    left = limit
    with open(target, "wb") as file:
        while chunk := source.read(CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                if keep_what_fits:
                    return
                raise TooLarge(
                    f"{target.name} has more than {limit >> 20:,} MB.",
                    "Start the studio with a larger --max-upload-mb.",
                    "file",
                )
            file.write(chunk)


def refuse_other_things(folder: AdapterFolder, names: list[str]) -> None:
    """Say what was brought instead of an adapter."""
    pickled = next((name for name in PICKLES if (folder.path / name).exists()), None)
    if not folder.config.exists():
        shown = clip(", ".join(names), 100)
        raise BadInput(
            f"There is no adapter_config.json in what was brought ({shown}).",
            "Bring the zip or the files of an adapter that PEFT has saved.",
            "file",
        )
    if not folder.weights.exists() and pickled:
        raise BadInput(
            f"The weights are only there as {pickled}, which could run code when it is read.",
            "Load the adapter with PEFT where you trust it and save it there again: it writes safetensors.",
            "file",
        )
    if not folder.weights.exists():
        raise BadInput("There is no adapter_model.safetensors beside adapter_config.json.", "Bring both.", "file")


def stem_of(files: Sequence[tuple[str, Path]]) -> str:
    """A name for an adapter without one: its zip's."""
    name = files[0][0].replace("\\", "/").rpartition("/")[2] if files else ""
    return clean_name(name.rpartition(".")[0] or name)[:100] if name.endswith(".zip") else "Imported adapter"
