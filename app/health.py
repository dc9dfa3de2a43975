"""`python -m app.health`: ask the API in this container whether it is ready; exit 0 or 1.

For the image's HEALTHCHECK: there is no other program in it that could ask. HOST and PORT are those
of the serving process.
"""

import http.client
import os
import sys
from collections.abc import Mapping

__all__ = ["HealthError", "check", "main"]

_SECONDS = 2.0
_ANY = ("0.0.0.0", "::", "")  # noqa: S104 - an address to ask at, not to listen on


class HealthError(Exception):
    """The API is not ready, or nobody answers; the message says which."""


def main() -> int:
    """Ask once; return the exit code."""
    try:
        check(os.environ)
    except HealthError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def check(environment: Mapping[str, str]) -> None:
    """Ask the process that was started with this environment.

    Raises:
        HealthError: it is not ready, or does not answer within 2 s.
    """
    host, port = environment.get("HOST", "").strip(), environment.get("PORT", "").strip()
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise HealthError("PORT: expected the port that the API listens on, from 1 to 65535")
    connection = http.client.HTTPConnection(
        "127.0.0.1" if host in _ANY else host, int(port), timeout=_SECONDS
    )
    try:
        connection.request("GET", "/health/ready")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise HealthError(f"port {port}: no answer: {type(error).__name__}") from error
    finally:
        connection.close()
    if status != 200:
        raise HealthError(f"port {port}: not ready: status {status}")


if __name__ == "__main__":
    sys.exit(main())
