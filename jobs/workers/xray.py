"""Look inside a LoRA adapter: `python -m jobs.workers.xray <adapter folder> <file>` writes the singular values of each module's update."""

import sys
from pathlib import Path

from jobs.workers.lora_math import singular_values
from studio.files import write_json
from studio.folders import AdapterFolder
from studio.lora_files import read_lora


def main(folder: AdapterFolder, target: Path) -> None:
    modules = [
        {"name": name, "rank": module.rank, "values": singular_values(module.factors()).tolist()}
        for name, module in read_lora(folder, folder.path.name).modules.items()
    ]
    write_json(target, {"version": 1, "modules": modules})


if __name__ == "__main__":
    main(AdapterFolder(sys.argv[1]), Path(sys.argv[2]))
