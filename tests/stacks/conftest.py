import shutil
from pathlib import Path

import pytest

from engine.project import load
from tests.recorder import ROOT


@pytest.fixture
def config(tmp_path: Path) -> dict[str, str]:
    """Return the defaults of Pulumi.yaml, as an engine passes them on."""
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    (tmp_path / "Pulumi.local.yaml").write_text("config: {}\n")
    return load(tmp_path, "local").config
