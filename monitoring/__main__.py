"""`python -m monitoring`: the report of the local API's log, written as one HTML page."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.release import DRIFT
from monitoring.local import SCHEMA, read_log
from monitoring.queries import Bounds
from monitoring.reference import CountsError, Reference
from monitoring.report import report

__all__ = ["main"]


class _NothingToSeeError(Exception):
    """There is no log, no line or no release to report of; the message says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page and say where it is; return 1, with the reason, where there is nothing."""
    parser = argparse.ArgumentParser(prog="python -m monitoring", description=__doc__)
    parser.add_argument("--log", type=Path, default=Path(".local/logs/api.log"))
    parser.add_argument("--releases", type=Path, default=Path(".local/releases"))
    parser.add_argument("--out", type=Path, default=Path(".local/monitor.html"))
    parser.add_argument("--latency-ms", type=int, default=250, help="as the key alertLatencyMs")
    parser.add_argument("--error-percent", type=int, default=1, help="as alertErrorPercent")
    given = parser.parse_args(arguments)
    bounds = Bounds(latency_ms=given.latency_ms, error_share=given.error_percent / 100)
    try:
        lines = _lines(given.log)
        page = report(lines, _reference(given.releases, lines), bounds)
    except _NothingToSeeError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(page, encoding="utf-8")
    sys.stdout.write(f"{len(lines):,} log lines: {given.out.absolute().as_uri()}\n")
    return 0


def _lines(log: Path) -> list[dict[str, Any]]:
    if not log.exists():
        raise _NothingToSeeError(f"{log} is not there yet: `make up` comes first")
    if not (lines := list(read_log(log))):
        raise _NothingToSeeError(
            f"{log} has no line of schema {SCHEMA} yet: ask the API something first (`make up` "
            "ends with how)"
        )
    return lines


def _reference(releases: Path, lines: Sequence[Mapping[str, Any]]) -> Reference:
    """Read the counts of the last release in the log whose files are there.

    A release that was replaced writes a last line after its successor's first ones, and its files
    are removed with it.
    """
    for release in dict.fromkeys(str(line["release"]) for line in reversed(lines)):
        # Of one release there may be two copies: by a process that is being replaced, and by its
        # successor.
        for file in releases.glob(f"{release}-*/{DRIFT}"):
            try:
                return Reference.of(release, json.loads(file.read_bytes()))
            except (CountsError, ValueError) as error:
                raise _NothingToSeeError(f"{file}: {error}") from error
    raise _NothingToSeeError(
        f"{releases} has no files of release {lines[-1]['release']}, which wrote the last line: "
        "`make up`, then ask the API something"
    )


if __name__ == "__main__":
    sys.exit(main())
