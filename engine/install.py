"""The official installation of the Pulumi CLI, below `.local`, within bounded time."""

import os
import signal
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
    with subprocess.Popen(  # noqa: S603 - our own interpreter and code; no shell
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            # The whole session: the installer's script and its download as well.
            os.killpg(process.pid, signal.SIGKILL)
            return f"no answer within {seconds:.0f} s"
    if process.returncode == 0:
        return None
    return (errors.strip().splitlines() or ["no reason given"])[-1]
