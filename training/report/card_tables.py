"""The tables of a model card, in GitHub's Markdown."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from training.evaluation.evidence import Effect, Evidence, Figure

__all__ = [
    "code",
    "drift_tables",
    "effect_table",
    "environment_table",
    "fairness_tables",
    "figure_table",
    "outlier_table",
    "parameter_table",
    "plain",
    "rate",
]

_NONE = "none"
"""What a cell says of which there is nothing to say: empty, it would look like an omission."""


def plain(text: str) -> str:
    """Return text as Markdown shows it: on one line, and without marks that mean something."""
    line = " ".join(text.split())
    for mark in "\\`*_[]<>|~":
        line = line.replace(mark, f"\\{mark}")
    return line


def code(text: str) -> str:
    """Return text as a code span that may stand in a table's cell."""
    # GitHub takes a bar for the cell's end even in a code span, unless it is escaped.
    line = " ".join(text.split()).replace("|", "\\|")
    fence = "``" if "`" in line else "`"
    pad = " " if "`" in line else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def rate(found: Mapping[str, Any], value: str = "value") -> str:
    """Return a share and its interval, such as `12.3% (10.0% to 14.9%)`."""
    return f"{found[value]:.1%} ({found['low']:.1%} to {found['high']:.1%})"


def figure_table(figures: Mapping[str, Figure]) -> str:
    """List every figure with its interval and meaning."""
    return _table(
        ("figure", "value", "95% interval", "meaning"),
        (
            (code(name), f"{found['value']:.4f}", _interval(found), plain(found["meaning"]))
            for name, found in figures.items()
        ),
    )


def effect_table(effects: Sequence[Effect]) -> str:
    """List the fields by importance, with the values that move the log-odds most either way."""
    rows: list[tuple[str, ...]] = []
    for effect in effects:
        points = sorted(effect["points"], key=lambda point: point["contribution"])
        extremes = (
            f"{plain(str(point['value']))} ({point['contribution']:+.2f})"
            for point in (points[0], points[-1])
        )
        rows.append((code(effect["feature"]), f"{effect['importance']:.3f}", *extremes))
    return _table(("field", "importance", "least likely to leave", "most likely to leave"), rows)


def fairness_tables(fairness: Mapping[str, object]) -> tuple[str, str]:
    """Return every group's rates, and the ratios between the groups of each attribute."""
    attributes = cast("dict[str, dict[str, Any]]", fairness["attributes"])
    rates = ("leave_rate", "selection_rate", "true_positive_rate", "false_positive_rate")
    ratios = ("selection_ratio", "opportunity_ratio", "adjusted_ratio", "four_fifths")
    groups = _table(
        (
            *("attribute", "group", "records", "leavers", "judged", "left", "selected"),
            *("leavers found (TPR)", "stayers selected (FPR)", "said less seen"),
        ),
        (
            (
                *(code(name), plain(group["name"])),
                *(f"{group['records']:,}", f"{group['leavers']:,}"),
                "yes" if group["judged"] else "no, too few",
                *(_optional_rate(group[rate_name]) for rate_name in rates),
                _signed(group["calibration_gap"]),
            )
            for name, attribute in attributes.items()
            for group in attribute["groups"]
        ),
    )
    comparisons = _table(
        ("attribute", "selection", "leavers found", "adjusted", "adjusted, beyond chance"),
        (
            (code(name), *(_ratio(attribute[ratio]) for ratio in ratios))
            for name, attribute in attributes.items()
        ),
    )
    return groups, comparisons


def drift_tables(drift: Mapping[str, object]) -> tuple[str, str]:
    """Return false alarms by window size, and power by planted change, field and window size."""
    alarms = cast("list[dict[str, Any]]", drift["alarms"])
    power = cast("list[dict[str, Any]]", drift["power"])
    tests = ("status", "ks", "chi_squared", "joint")
    found = ("status", "field", "joint")
    return (
        _table(
            *(
                ("window", "reference", "any test", "numbers", "categories", "all fields at once"),
                (
                    (
                        f"{row['window']:,}",
                        f"{row['reference']:,}",
                        *(rate(row[test]) for test in tests),
                    )
                    for row in alarms
                ),
            )
        ),
        _table(
            ("change", "field", "window", "alarm", "the field named", "all fields at once"),
            (
                (
                    row["change"],
                    code(row["feature"]),
                    f"{row['window']:,}",
                    *(rate(row[test]) for test in found),
                )
                for row in power
            ),
        ),
    )


def outlier_table(outliers: Mapping[str, object]) -> str:
    """List the caught share of each kind of planted outlier, by detector."""
    kinds = cast("dict[str, dict[str, Any]]", outliers["kinds"])
    detectors = ("caught", "caught_by_score", "isolation_forest", "local_outlier_factor")
    return _table(
        (
            *("planted outlier", "records", "break a rule", "caught", "caught without rules"),
            *("isolation forest", "local outlier factor", "a planted field named"),
        ),
        (
            (
                plain(kind.replace("_", " ")),
                f"{found['caught']['records']:,}",
                *(rate(found[share], "share") for share in ("breaks_a_rule", *detectors, "named")),
            )
            for kind, found in kinds.items()
        ),
    )


def environment_table(environment: Mapping[str, str]) -> str:
    """List the versions that the figures depend on."""
    return _table(("package", "version"), ((code(k), plain(v)) for k, v in environment.items()))


def parameter_table(evidence: Evidence) -> str:
    """List the parameters of the training run."""
    parameters = evidence["origin"]["parameters"]
    return _table(
        ("parameter", "value"), ((code(key), code(json.dumps(v))) for key, v in parameters.items())
    )


def _optional_rate(found: Mapping[str, Any] | None) -> str:
    return _NONE if found is None else rate(found)


def _signed(found: Mapping[str, Any]) -> str:
    return f"{found['value']:+.1%} ({found['low']:+.1%} to {found['high']:+.1%})"


def _ratio(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return _NONE
    groups = f"{plain(found['group'])} / {plain(found['reference'])}"
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f}), {groups}"


def _interval(found: Figure) -> str:
    low, high = found["low"], found["high"]
    return _NONE if low is None or high is None else f"{low:.4f} to {high:.4f}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
