"""The official installation of the Pulumi CLI, below `.local`, within bounded time."""

import subprocess
import sys
from pathlib import Path

from engine.terminal import say

__all__ = ["install"]

_PROBE_SECONDS = 4
_INSTALL_SECONDS = 300
# Both run as child processes: a name server that does not answer blocks a thread for longer than
# any time-out that Python's network modules take.
_PROBE = "import urllib.request as r; r.urlopen('https://get.pulumi.com/install.sh', timeout=3)"
_INSTALL = "import sys; from pulumi.automation import PulumiCommand as p; p.install(sys.argv[1])"


def install(target: Path) -> str | None:
    """Install the CLI that matches the SDK into `target`; return why it failed, or None."""
    if _python(_PROBE, seconds=_PROBE_SECONDS) is not None:
        return "its download cannot be reached"
    say(f"installing the Pulumi CLI into {target} …")
    return _python(_INSTALL, str(target), seconds=_INSTALL_SECONDS)


def _python(code: str, *arguments: str, seconds: float) -> str | None:
    """Run a line of Python; return its error's last line, or None when it ended well."""
    try:
        result = subprocess.run(  # noqa: S603 - our own interpreter and code; no shell
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {seconds:.0f} s"
    if result.returncode == 0:
        return None
    return (result.stderr.strip().splitlines() or ["no reason given"])[-1]
