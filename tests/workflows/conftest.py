"""The cloud commands' stand-ins, made anew for each test."""

from pathlib import Path

import pytest
from workflows_recorder import Commands


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """Stand-ins that know of no answer yet."""
    return Commands(folder=tmp_path / "commands")
