"""Every option is a command-line option and a STUDIO_* variable."""

import subprocess
import sys
from pathlib import Path

import pytest

from studio.errors import Invalid
from studio.settings import StudioSettings, read_settings

PROJECT = Path(__file__).parent.parent


def test_an_option_beats_a_variable_and_a_variable_beats_the_default(monkeypatch):
    assert read_settings([]).port == 7860
    monkeypatch.setenv("STUDIO_PORT", "7001")
    assert read_settings([]).port == 7001
    assert read_settings(["--port", "7002"]).port == 7002


def test_the_help_explains_every_option():
    shown = subprocess.run(
        [sys.executable, "app.py", "--help"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    for name, field in StudioSettings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in shown
        assert field.description.split()[0] in shown


def test_the_documentation_has_every_option():
    page = (PROJECT / "docs" / "run-the-studio.md").read_text()
    options = [
        f"--{'no-runner' if name == 'runner' else name.replace('_', '-')}" for name in StudioSettings.model_fields
    ]
    assert [option for option in options if f"`{option}`" not in page] == []


def test_the_runner_is_given_the_same_settings(tmp_path, monkeypatch):
    given = read_settings(
        ["--data-folder", str(tmp_path), "--port", "0", "--no-runner", "--chat-idle-seconds", "3", "--hub-offline"]
    )
    for name, value in given.as_environment().items():
        monkeypatch.setenv(name, value)
    assert read_settings() == given.model_copy(update={"data_folder": tmp_path})


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.0.7", "::", "studio.example"])
def test_an_address_that_others_can_reach_is_refused(address):
    with pytest.raises(Invalid, match="no sign-in"):
        read_settings(["--host", address])


def test_a_wrong_value_is_refused_by_the_name_of_its_option(monkeypatch):
    monkeypatch.setenv("STUDIO_MAX_UPLOAD_MB", "lots")
    with pytest.raises(Invalid, match="--max-upload-mb"):
        read_settings([])
