"""A studio in a folder of its own for every test: a real SQLite file, real folders."""

import os
from pathlib import Path

# Two busy threads on a loaded machine cost 12 times the CPU of one (docs/decisions.md).
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("STUDIO_WARM_START", "false")  # a runner of a few seconds need not load torch beside its worker

import pytest

from studio.settings import StudioSettings
from studio.studio import Studio

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def studio(tmp_path):
    opened = Studio.open(StudioSettings(data_folder=tmp_path / "data"))
    yield opened
    opened.database.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data, tokenizers and models beside the project. Tests that need it say what they miss where it is absent."""
    if not SHARED_DATA.exists():
        pytest.skip(f"needs the real data in {SHARED_DATA}, which is not there")
    return SHARED_DATA
