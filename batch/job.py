"""The steps of one batch run, from the registry and a table to a table of answers."""

# PySpark's types are partly unknown (4.3.0, 2026-11).
# pyright: reportUnknownMemberType=false

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession, types
from pyspark.sql import functions as f

from batch.errors import BatchError
from batch.records import ABSENT
from batch.registry import Fetched, ModelAddress, fetch
from batch.scoring import ANSWER, scorer, shipped_by_value
from batch.tables import (
    Place,
    overlap,
    quoted,
    read,
    require_replaceable,
    write,
)
from contract.employee import FIELD_NAMES, FIELDS, TARGET, Field, Integer

__all__ = ["Options", "Summary", "run"]

_STEP_WIDTH = 10
_RELEASE, _SCORED_AT = "release", "scored_at"
_OURS = (_RELEASE, _SCORED_AT, *ANSWER.names)

_WHOLE = (types.ByteType, types.ShortType, types.IntegerType, types.LongType)
_TEXT = (types.StringType, types.CharType, types.VarcharType)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What one run is asked to do; the entry point's arguments, checked.

    `keys` are the columns that identify a row; `partitions` 0 takes the table's own.
    """

    table: Place
    output: Place
    model: ModelAddress
    stage: str
    version: str
    keys: tuple[str, ...]
    mode: str = "overwrite"
    partitions: int = 0


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What one run did; `seconds` from start to end, `rows_per_second` while scoring and writing.

    `refused_fields` counts the refused rows by the fields that were wrong in them.
    """

    rows: int
    scored: int
    refused: int
    refused_fields: Mapping[str, int]
    seconds: float
    rows_per_second: float
    release: str
    table: str
    output: str


def run(options: Options) -> Summary:
    """Score the table and write the answers; say on stdout how far it is.

    Raises:
        BatchError: the release, the table or the output is not as it must be, or no row is.
    """
    started = time.monotonic()
    if overlap(options.table, options.output):
        raise BatchError(f"--output: {options.output} is where the rows come from (--table)")
    fetched = fetch(options.model, stage=options.stage, version=options.version)
    sha256 = fetched.release.manifest_sha256
    _say("release", f"version {fetched.version} of {options.model.name}, bundle {sha256[:12]}…")
    session = SparkSession.builder.getOrCreate()
    rows = read(session, options.table)
    _check_columns(rows.schema, options)
    # Rows are added to answers with the same keys alone; other answers may be replaced.
    theirs = (*options.keys, *_OURS) if options.mode == "append" else _OURS
    require_replaceable(session, options.output, theirs)
    _say("table", f"{options.table}: {len(rows.columns)} columns, keys {', '.join(options.keys)}")
    moment = datetime.now(UTC)
    begun = time.monotonic()
    with shipped_by_value():
        write(_answers(rows, fetched, options, moment), options.output, options.mode)
    writing = time.monotonic() - begun
    _say("score", f"written to {options.output} in {writing:.1f} s")
    counts = _counts(read(session, options.output), fetched.version, moment)
    summary = Summary(
        **counts,
        seconds=round(time.monotonic() - started, 3),
        rows_per_second=round(counts["rows"] / writing, 1),
        release=fetched.version,
        table=str(options.table),
        output=str(options.output),
    )
    _say("count", f"{summary.rows:,} rows, {summary.scored:,} scored, {summary.refused:,} refused")
    _require_scored(summary)
    return summary


def _require_scored(summary: Summary) -> None:
    if summary.refused and not summary.scored:
        fields = ", ".join(summary.refused_fields)
        raise BatchError(
            f"{summary.table}: no row could be scored; wrong in them: {fields}; the column `error` "
            f"of {summary.output} says what belongs there"
        )


def _check_columns(schema: types.StructType, options: Options) -> None:
    if missing := [name for name in FIELD_NAMES if name not in schema.names]:
        raise BatchError(
            f"{options.table}: the table has no column {', '.join(missing)}; the {len(FIELDS)} "
            "fields of an employee record are needed, spelt exactly so"
        )
    for key in options.keys:
        if key in (*FIELD_NAMES, TARGET, *_OURS):
            raise BatchError(
                f"--key-column: {key} is a field of the record or of the answer; name columns that "
                "identify a row and say nothing of the person"
            )
        if key not in schema.names:
            raise BatchError(
                f"--key-column: {options.table} has no column {key}; name the columns that "
                "identify a row, separated by commas"
            )
        if not isinstance(schema[key].dataType, (*_WHOLE, *_TEXT, types.DateType)):
            raise BatchError(
                f"--key-column: {key} is {schema[key].dataType.simpleString()}; a key is a whole "
                "number, a text or a date"
            )
    for field in FIELDS:
        kind = schema[field.name].dataType
        if not _is_readable(field, kind):
            wanted = "whole numbers" if isinstance(field, Integer) else "text"
            _say("warning", f"{field.name} is {kind.simpleString()}, not {wanted}: no row is legal")


def _answers(rows: DataFrame, fetched: Fetched, options: Options, moment: datetime) -> DataFrame:
    # Under names of our own: PySpark reads a dot in a column's name as a way into a structure.
    names = {key: f"key_{number}" for number, key in enumerate(options.keys)}
    found = rows.schema
    kinds = {key: _carried(found[key].dataType) for key in names}
    keys = [f.col(quoted(key)).cast(kinds[key]).alias(name) for key, name in names.items()]
    fields = [_column(field, found[field.name].dataType) for field in FIELDS]
    taken = rows.select(*keys, *fields)
    if options.partitions:
        taken = taken.repartition(options.partitions)
    schema = types.StructType(
        [*(types.StructField(name, kinds[key]) for key, name in names.items()), *ANSWER.fields]
    )
    answers = taken.mapInPandas(scorer(fetched.release, tuple(names.values())), schema)
    return answers.select(
        *(f.col(name).cast(found[key].dataType).alias(key) for key, name in names.items()),
        f.lit(fetched.version).alias(_RELEASE),
        _at(moment).alias(_SCORED_AT),
        *ANSWER.names,
    )


def _carried(kind: types.DataType) -> types.DataType:
    """Return the type in which a key travels through pandas.

    As text: pandas turns a column of whole numbers with a gap into floats, which lose digits.
    """
    return kind if isinstance(kind, types.DateType) else types.StringType()


def _column(field: Field, kind: types.DataType) -> Column:
    """Select the field's column; what is missing or of another type arrives as absent."""
    absent = f.lit(ABSENT).cast("bigint") if isinstance(field, Integer) else f.lit(None)
    if not _is_readable(field, kind):
        return absent.cast(_target(field)).alias(field.name)
    return f.coalesce(f.col(field.name).cast(_target(field)), absent).alias(field.name)


def _target(field: Field) -> str:
    return "bigint" if isinstance(field, Integer) else "string"


def _is_readable(field: Field, kind: types.DataType) -> bool:
    return isinstance(kind, _WHOLE if isinstance(field, Integer) else _TEXT)


def _at(moment: datetime) -> Column:
    # By number: a literal date and time would go through the session's time zone.
    return f.timestamp_micros(f.lit(round(moment.timestamp() * 1_000_000)))


def _counts(answers: DataFrame, version: str, moment: datetime) -> dict[str, Any]:
    ours = answers.where((f.col(_SCORED_AT) == _at(moment)) & (f.col(_RELEASE) == version))
    counted = ours.agg(f.count("*").alias("rows"), f.count("error").alias("refused")).collect()
    rows, refused = int(counted[0]["rows"]), int(counted[0]["refused"])
    fields: dict[str, int] = {}
    if refused:
        wrong = ours.select(f.explode(f.col("error.field")).alias("field"))
        grouped = wrong.groupBy("field").count().collect()
        found = {str(each["field"]): int(each["count"]) for each in grouped}
        fields = {name: found[name] for name in FIELD_NAMES if name in found}
    return {"rows": rows, "scored": rows - refused, "refused": refused, "refused_fields": fields}


def _say(step: str, text: str) -> None:
    sys.stdout.write(f"{step:<{_STEP_WIDTH}}{text}\n")
    sys.stdout.flush()
