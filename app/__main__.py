"""Serve one release of the attrition model until SIGTERM.

environment:
  RELEASE_DIR      folder of the release's serving bundle; required
  RELEASE_VERSION  the release's name in answers and log lines, such as 7; required
  RELEASE_SHA256   sha-256 of the bundle's manifest, as the registry has it; not checked if unset
  HOST, PORT       private address (127.0.0.1, and 0: any free port)

who may call, one of the two at least:
  API_KEY_SHA256   sha-256 of each accepted API key, separated by commas
  ENTRA_TENANT_ID  the tenant whose tokens are accepted, a GUID; needs ENTRA_AUDIENCE
  ENTRA_AUDIENCE   the API's application id or its URI, or several separated by commas
  ENTRA_ISSUER     the tenant's issuer of v2 tokens in another cloud than the public one
  ENTRA_LOOPBACK_HTTP
                   true: that issuer may be on http://127.0.0.1; for tests (false)

how much, and what else:
  RATE_LIMIT_PER_SECOND, RATE_LIMIT_BURST
                   requests of one caller: a second, and at once (100, 200)
  MAX_IN_FLIGHT    requests that are at work at once, of all callers (64)
  WINDOW_RECORDS, WINDOW_SECONDS
                   a log line `window` has so many records at least, and comes so often at most
                   (20, 60 seconds)
  OTLP_ENDPOINT    base address of a collector that is sent the metrics once a minute, by OTLP over
                   HTTP, such as http://127.0.0.1:4318; nobody is if unset
  DOCS_ENABLED     whether /docs and /openapi.json answer, true or false (true)

A wrong setting or release ends the process with code 2 and one line on stderr that names it.
"""

import argparse
import gc
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from app import control
from app.listener import listen_on
from app.log import configure_logging
from app.service import Service
from app.settings import Settings, SettingsError
from contract.release import ReleaseError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m app",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--control",
        type=Path,
        metavar="PATH",
        help="Unix socket to make for commands (see app.handover); relative keeps it short",
    )
    path: Path | None = parser.parse_args(arguments).control
    configure_logging()
    try:
        service = Service.open(Settings.from_environment(os.environ))
        private = _listen(service.settings)
        listening = (path, control.bind(path)) if path else None
    except (SettingsError, ReleaseError, control.ControlError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    # What is imported stays: collecting in between costs a tenth of the start-up time. The server
    # turns the collector on again.
    gc.disable()
    # Imported when everything else is known to be right: they take most of the start-up time.
    from app.api import Api
    from app.server import run

    run(Api(service), service, private, listening)
    return 0


def _listen(settings: Settings) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )[0]
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"HOST: {settings.host!r} is no address") from error
    try:
        return listen_on(family, address)
    except OSError as error:
        message = f"HOST, PORT: {settings.host}:{settings.port}: {error.strerror}"
        raise SettingsError(message) from error


if __name__ == "__main__":
    sys.exit(main())
