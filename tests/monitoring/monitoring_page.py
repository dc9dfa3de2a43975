"""`python -m monitoring` as a person runs it, on a folder laid out as `make up` does."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from monitoring_lines import RELEASE, Model

from contract.release import DRIFT
from monitoring.rules import RULES

TILES = {rule.query for rule in RULES} - {"silence", "restarts"}
"""The alerts that the page tells of."""

_ROOT = Path(__file__).parents[2]


def lay_out_release(folder: Path, model: Model) -> None:
    """Put the release's counts where the page looks for them; the log goes to `logs/api.log`."""
    release = folder / "releases" / f"{RELEASE}-0123456789ab"
    release.mkdir(parents=True)
    shutil.copy(model.bundle / DRIFT, release)


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Make the page `monitor.html` in the folder."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "monitoring", "--log", folder / "logs" / "api.log"),
            *("--releases", folder / "releases", "--out", folder / "monitor.html", *options),
        ],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def verdicts(page: str) -> dict[str, str]:
    """Read off the page which alerts would fire: `alarm` or `well`, by query."""
    return {
        name: state for state, name in re.findall(r'<li class="(\w+)" id="(\w+)-verdict"', page)
    }
