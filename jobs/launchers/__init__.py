"""Ways to start the workers of a run, one file each; a new file in this folder with a `command` is found by itself."""

import importlib
import pkgutil

from jobs.launchers.launcher import Launcher

LAUNCHERS: dict[str, Launcher] = {
    found.name: importlib.import_module(f"{__name__}.{found.name}").command
    for found in pkgutil.iter_modules(__path__)
    if found.name != "launcher"
}
