"""Look at a model that was brought, in a process with limits: `python -m jobs.workers.intake <base model folder>`.

The folder holds request.json: {"source": folder of the model, "root": its files lie below, "template": name or null,
"memory_mb", "cpu_seconds"}. Left in it: model/ and facts.json, or refusal.json with what is wrong. A template or tokenizer
made to hang or to eat memory ends this process and nothing else.
"""

import resource
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from studio.errors import BadInput, StudioError, clip
from studio.files import read_json, write_json
from studio.folders import BaseModelFolder
from studio.model_config import read_model_json
from studio.model_intake import prepare

REFUSED = 78
TEMPLATE_SECONDS = 5
CONVERSION_MB = 32 << 10  # importing torch alone reserves many GB of addresses
SLOW_TOKENIZERS = ("tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model")


def main(folder: BaseModelFolder) -> int:
    request = read_json(folder.request)
    source = Path(request["source"])
    convert = not (source / "tokenizer.json").is_file() and any((source / name).is_file() for name in SLOW_TOKENIZERS)
    limit(request["memory_mb"] + (CONVERSION_MB if convert else 0), request["cpu_seconds"])
    try:
        with converted(source, folder) if convert else nullcontext(source) as tokenizer:
            prepare(source, folder, Path(request["root"]), request["template"], tokenizer, template_limits(folder))
    except StudioError as error:
        write_json(folder.refusal, {"status": error.status, **error.as_dict()})
        return REFUSED
    except MemoryError:
        problem = f"Looking at the model takes more than {request['memory_mb']:,} MB of memory."
        write_json(
            folder.refusal,
            {
                "status": 400,
                "problem": problem,
                "fix": "Its tokenizer or template is damaged; fetch it again.",
                "field": None,
            },
        )
        return REFUSED
    return 0


def limit(memory_mb: int, cpu_seconds: int) -> None:
    """From here on the system refuses more memory, and ends this process when its CPU time is over."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))


@contextmanager
def template_limits(folder: BaseModelFolder) -> Iterator[None]:
    """Inside, a template has five seconds of computing; then the system ends this process, wherever it is.

    The verdict is written before, because afterwards nobody is left to write it.
    """
    problem = f"The chat template does not end within {TEMPLATE_SECONDS} seconds."
    write_json(
        folder.refusal,
        {
            "status": 400,
            "problem": problem,
            "fix": "Correct it, or choose the plain template for this model.",
            "field": None,
        },
    )
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, TEMPLATE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        folder.refusal.unlink()


@contextmanager
def converted(source: Path, folder: BaseModelFolder) -> Iterator[Path]:
    """A folder with the same tokenizer as a tokenizer.json, made by transformers from the files of its class."""
    from transformers import AutoTokenizer  # loads torch, which most models do not need here

    names = (
        "config.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "merges.txt",
        "chat_template.jinja",
        *SLOW_TOKENIZERS,
    )
    with tempfile.TemporaryDirectory(dir=folder.path) as name:
        before, after = Path(name, "before"), Path(name, "after")
        before.mkdir()
        for found in (source / name for name in names):
            if found.is_file() and found.name not in ("config.json", "tokenizer_config.json"):
                (before / found.name).write_bytes(found.read_bytes())
        for name in ("config.json", "tokenizer_config.json"):
            write_json(
                before / name,
                {key: value for key, value in read_model_json(source / name).items() if key != "auto_map"},
            )
        try:
            AutoTokenizer.from_pretrained(before, local_files_only=True, trust_remote_code=False).save_pretrained(after)
        except Exception as error:  # transformers raises whatever its converters meet
            raise BadInput(
                f"The tokenizer cannot be turned into a tokenizer.json: {clip(str(error).strip().partition(chr(10))[0], 200)}.",
                "Load it with transformers where its packages are installed, save it there with save_pretrained, and bring the tokenizer.json.",
            ) from None
        if not (after / "tokenizer.json").is_file():
            raise BadInput("There is no fast form of this tokenizer.", "Bring a model with a tokenizer.json.")
        yield after


if __name__ == "__main__":
    sys.exit(main(BaseModelFolder(sys.argv[1])))
