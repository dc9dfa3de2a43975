"""The queries over a log on this machine: DuckDB in Log Analytics' place, the text the same.

`duckdb-kql` translates; DuckDB runs. Only the subset that it translates is used in the queries,
which is what keeps one text for both. Needs requirements-monitor.txt.
"""

# duckdb-kql and DuckDB are typed in part (1.1.2 and 1.5.6, 2026-11).
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import duckdb_kql

from monitoring.queries import Place

__all__ = ["LOCAL", "SCHEMA", "LogStore", "last_moment", "read_log"]

LOCAL = Place(cluster="this machine", namespace="local")
"""The place of lines that come from no cluster."""

SCHEMA = 1
"""The version of the lines that the queries read; others are left out, here as there."""

_EVENTS = ("request", "window")

_TABLES = {
    "ContainerLogV2": {
        "TimeGenerated": "TIMESTAMP",
        "_ResourceId": "VARCHAR",
        "PodNamespace": "VARCHAR",
        "PodName": "VARCHAR",
        "ContainerName": "VARCHAR",
        "LogMessage": "JSON",
    },
    "KubePodInventory": {
        "TimeGenerated": "TIMESTAMP",
        "_ResourceId": "VARCHAR",
        "Namespace": "VARCHAR",
        "Name": "VARCHAR",
        "ContainerName": "VARCHAR",
        "ContainerRestartCount": "INTEGER",
        "PodCreationTimeStamp": "TIMESTAMP",
        "ContainerLastStatus": "VARCHAR",
    },
}
"""The columns that the queries read, as Log Analytics has them, and the types of the same here."""


class LogStore:
    """Tables in memory as Log Analytics has them, and KQL over them. Not for two threads at once.

    `tables`: those that exist; one without a line yet does not, in a new workspace.
    """

    def __init__(self, tables: Iterable[str] = tuple(_TABLES)) -> None:
        self._connection = duckdb.connect()
        # KQL's times are UTC, whatever the machine's are.
        self._connection.execute("SET TimeZone='UTC'")
        self._schema = {name: list(_TABLES[name]) for name in tables}
        for name in self._schema:
            columns = ", ".join(f'"{column}" {type_}' for column, type_ in _TABLES[name].items())
            self._connection.execute(f'CREATE TABLE "{name}" ({columns})')

    def add(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        """Add rows; columns that a row lacks are empty."""
        kept = list(rows)
        columns = [[_stored(row.get(name)) for row in kept] for name in self._schema[table]]
        if kept:
            # By column: row by row DuckDB takes half a millisecond for each.
            values = ", ".join("unnest(?)" for _ in columns)
            # The table's name is one of `_TABLES`.
            self._connection.execute(f'INSERT INTO "{table}" SELECT {values}', columns)

    def add_lines(
        self, lines: Iterable[dict[str, Any]], *, place: Place = LOCAL, pod: str = "local"
    ) -> None:
        """Add the API's lines as Container insights does, each at its own time."""
        self.add(
            "ContainerLogV2",
            (
                {
                    "TimeGenerated": datetime.fromisoformat(line["time"]),
                    "_ResourceId": place.cluster,
                    "PodNamespace": place.namespace,
                    "PodName": pod,
                    "ContainerName": "api",
                    "LogMessage": line,
                }
                for line in lines
            ),
        )

    def clear(self) -> None:
        """Remove every row."""
        for name in self._schema:
            self._connection.execute(f'TRUNCATE "{name}"')

    def query(self, text: str, *, now: datetime) -> list[dict[str, Any]]:
        """Run KQL as if it were `now` (with its time zone); return the rows by column."""
        translated = duckdb_kql.to_sql(text, schema=self._schema, query_now=now.astimezone(UTC))
        found = self._connection.execute(str(translated), translated.parameters or None)
        columns = [column[0] for column in found.description or []]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """Read the lines of `SCHEMA` in an API's log, requests and windows; the rest is left out.

    A line that was cut off when a process was killed is no JSON, and left out as well.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                line: Any = json.loads(text)
            except ValueError:
                continue
            if not isinstance(line, dict) or line.get("schema") != SCHEMA:
                continue
            if line.get("event") in _EVENTS:
                yield line


def last_moment(lines: Iterable[dict[str, Any]]) -> datetime:
    """Return the moment just after the last of the lines, of which there must be one."""
    return max(datetime.fromisoformat(line["time"]) for line in lines) + timedelta(milliseconds=1)


def _stored(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).replace(tzinfo=None)
        case dict():
            return json.dumps(value)
        case _:
            return value
