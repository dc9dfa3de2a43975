"""Fills a query with what it is about: the environment, the release, the bounds, the time.

A `.kql` file names its parameters and does not set them. `fill` puts `let` statements before it,
and the files of `sources/` that it needs: the result is one text that runs as it is, in Log
Analytics, in an alert rule, and on a laptop.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from contract.outliers import OUTLIER_SHARE
from monitoring.reference import Reference

__all__ = ["QUERIES", "Bounds", "Place", "Span", "fill", "header", "kusto_span"]

_FOLDER = Path(__file__).parent
QUERIES = tuple(sorted(path.stem for path in (_FOLDER / "queries").glob("*.kql")))
"""The queries, by the names of their files."""

_SOURCES = {"Compared": "compared", "Bound(": "bound", "Lines": "lines", "Pods": "pods"}
"""What a query mentions, and the file that defines it; what needs another comes before it."""

_SAFE = re.compile(r"[\w./() -]*")
"""What a text in a query may hold: what needs no escape, and ends no literal."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Whose lines are asked for: the cluster's ARM id and the API's namespace in it."""

    cluster: str
    namespace: str


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What an environment puts up with: milliseconds at the 95th percentile, share of errors."""

    latency_ms: int
    error_share: float


@dataclass(frozen=True, kw_only=True)
class Span:
    """How far back a query looks, and the length of a step in it, in minutes each."""

    minutes: int
    step_minutes: int

    @classmethod
    def one_step(cls, minutes: int) -> "Span":
        """Make the span of an alert: all of it at once."""
        return cls(minutes=minutes, step_minutes=minutes)


def fill(name: str, *, place: Place, reference: Reference, bounds: Bounds, span: Span) -> str:
    """Return the query `name` of `QUERIES` with its parameters and its sources before it.

    Raises:
        ValueError: there is no such query, or a text would end its literal.
    """
    if name not in QUERIES:
        raise ValueError(f"there is no query {name!r}, only {', '.join(QUERIES)}")
    body = _sources(_read("queries", name)) + _read("queries", name)
    values = {
        "cluster": _text(place.cluster),
        "namespace": _text(place.namespace),
        "release": _text(reference.release),
        "over": kusto_span(span.minutes),
        "step": kusto_span(span.step_minutes),
        "latency_limit_ms": f"{float(bounds.latency_ms)}",
        "error_share": f"{float(bounds.error_share)}",
        "expected_outliers": f"{OUTLIER_SHARE}",
        "reference": f"dynamic({json.dumps(dict(reference.counts), separators=(',', ':'))})",
    }
    return _parameters(body, values) + body


def header(name: str) -> str:
    """Return the comment that a query begins with, without its slashes."""
    lines = (_FOLDER / "queries" / f"{name}.kql").read_text(encoding="utf-8").splitlines()
    comment = [line.removeprefix("//").strip() for line in lines if line.startswith("//")]
    return "\n".join(comment)


def kusto_span(minutes: int) -> str:
    """Write a length of time as Kusto does."""
    return f"{minutes // 1440}d" if minutes % 1440 == 0 else f"{minutes}m"


def _sources(query: str) -> str:
    """Return the files that define what the query mentions, what they need themselves first."""
    needed: dict[str, str] = {}
    text = query
    for word, name in _SOURCES.items():
        if word in _code(text) and name not in needed:
            needed[name] = _read("sources", name)
            text += needed[name]
    return "".join(reversed(needed.values()))


def _parameters(body: str, values: Mapping[str, str]) -> str:
    code = _code(body)
    # Not after a point: `Line.release` is what a line says.
    used = {name: text for name, text in values.items() if re.search(rf"(?<!\.)\b{name}\b", code)}
    return "".join(f"let {name} = {value};\n" for name, value in used.items())


def _code(text: str) -> str:
    """Leave out the comments, which mention what they do not use."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("//"))


@cache
def _read(folder: str, name: str) -> str:
    return (_FOLDER / folder / f"{name}.kql").read_text(encoding="utf-8")


def _text(value: str) -> str:
    if not _SAFE.fullmatch(value):
        raise ValueError(f"{value!r} cannot stand in a query: it may hold {_SAFE.pattern} only")
    return f"'{value}'"
