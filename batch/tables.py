"""Where rows come from and answers go: a table by name, or a folder of Parquet files by path."""

# PySpark's types are partly unknown (4.3.0, 2026-11).
# pyright: reportUnknownMemberType=false

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from batch.errors import BatchError

__all__ = ["Place", "overlap", "quoted", "read", "require_replaceable", "write"]

_PART = re.compile(r"[^\s.`/\\]+")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A table, as up to three name parts, or a path."""

    parts: tuple[str, ...] = ()
    path: str = ""

    @classmethod
    def parse(cls, text: str, option: str) -> "Place":
        """Read `CATALOG.SCHEMA.TABLE`, or a path: whatever holds a slash.

        Raises:
            BatchError: naming `option`, when the text is neither.
        """
        if "://" in text:
            raise BatchError(
                f"{option}: {text.partition('://')[0]}:// addresses are not read or written; give "
                "CATALOG.SCHEMA.TABLE, or a path such as /Volumes/CATALOG/SCHEMA/VOLUME/FOLDER"
            )
        if "/" in text:
            return cls(path=text.rstrip("/") or "/")
        parts = tuple(text.split("."))
        if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):
            raise BatchError(
                f"{option}: expected CATALOG.SCHEMA.TABLE, or a path with a slash, not {text!r}"
            )
        return cls(parts=parts)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return self.path or ".".join(self.parts)

    @property
    def sql_name(self) -> str:
        """The table's name with every part quoted."""
        return ".".join(quoted(part) for part in self.parts)


def quoted(name: str) -> str:
    """Return `name` as Spark takes it when it holds dots, spaces or dashes."""
    return "`" + name.replace("`", "``") + "`"


def overlap(one: Place, other: Place) -> bool:
    """Say whether writing one place would touch the other."""
    if bool(one.path) != bool(other.path):
        return False
    if not one.path:
        # Trailing parts: what is left out is the session's catalog and schema.
        shared = min(len(one.parts), len(other.parts))
        ends = [[part.lower() for part in place.parts[-shared:]] for place in (one, other)]
        return ends[0] == ends[1]
    first, second = Path(one.path).resolve(), Path(other.path).resolve()
    return first.is_relative_to(second) or second.is_relative_to(first)


def read(session: SparkSession, place: Place) -> DataFrame:
    """Return the rows of `place`; nothing is read before they are asked for."""
    return session.read.parquet(place.path) if place.path else session.table(place.sql_name)


def require_replaceable(session: SparkSession, place: Place, columns: Sequence[str]) -> None:
    """Check that `place` is free, or has the answers' `columns`: a slip must not cost a table.

    Raises:
        BatchError: something else is there.
    """
    if place.path:
        folder = Path(place.path)
        # Spark leaves hidden and underscored files behind a write that did not end.
        free = not folder.exists() or (
            folder.is_dir() and all(each.name[0] in "._" for each in folder.iterdir())
        )
        ours = not free and any(folder.glob("*.parquet"))
    else:
        free = not session.catalog.tableExists(place.sql_name)
        ours = not free
    if free or (ours and set(columns) <= set(read(session, place).columns)):
        return
    raise BatchError(
        f"--output: {place} exists and is no table of answers with the columns of this run; it is "
        "left as it is: choose another name, or remove it"
    )


def write(answers: DataFrame, place: Place, mode: str) -> None:
    """Write `answers` to `place`; `mode` is overwrite or append."""
    writer = answers.write.mode(mode)
    if place.path:
        writer.parquet(place.path)
    elif mode == "overwrite":
        # Delta keeps the old columns otherwise; other formats do not know the option.
        writer.option("overwriteSchema", "true").saveAsTable(place.sql_name)
    else:
        writer.saveAsTable(place.sql_name)
