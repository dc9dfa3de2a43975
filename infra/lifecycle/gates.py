"""Gates: bounds that a release's figures must keep to reach a stage. Pure functions over data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Gate", "Verdict", "judge"]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A bound on one metric; every bound that is set must hold.

    `at_least` and `at_most` are absolute. `max_drop` and `max_rise` compare with the release that
    the stage has now: the figure may be lower, or higher, by no more than that.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    max_drop: float | None = None
    max_rise: float | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether one bound holds, in words that name the figure and the bound.

    What cannot be compared, and what is only judged later, holds so far.
    """

    holds: bool
    text: str


def judge(
    gates: Sequence[Gate],
    figures: Mapping[str, float],
    current: Mapping[str, float] | None,
    *,
    partial: bool = False,
) -> list[Verdict]:
    """Judge `figures` by `gates`; `current` are the figures of the release that would be replaced.

    Without a current release, or a figure of it, the comparing bounds hold: there is nothing to
    lose. `partial`: the release has more figures than these, and a gate on another holds so far.
    """
    return [verdict for gate in gates for verdict in _judge_one(gate, figures, current, partial)]


def _judge_one(
    gate: Gate,
    figures: Mapping[str, float],
    current: Mapping[str, float] | None,
    partial: bool,
) -> list[Verdict]:
    figure = figures.get(gate.metric)
    if figure is None:
        return [_without_figure(gate, figures, partial)]
    bounds: list[tuple[str, float, bool]] = []
    if gate.at_least is not None:
        bounds.append(("at least", gate.at_least, figure >= gate.at_least))
    if gate.at_most is not None:
        bounds.append(("at most", gate.at_most, figure <= gate.at_most))
    before = current.get(gate.metric) if current else None
    if gate.max_drop is not None and before is not None:
        floor, words = before - gate.max_drop, f"({before:.4g} now, less {gate.max_drop:.4g})"
        bounds.append((f"at least {words}", floor, figure >= floor))
    if gate.max_rise is not None and before is not None:
        ceiling, words = before + gate.max_rise, f"({before:.4g} now, plus {gate.max_rise:.4g})"
        bounds.append((f"at most {words}", ceiling, figure <= ceiling))
    verdicts = [
        Verdict(
            holds=holds,
            text=f"{gate.metric} {figure:.4f}, {words} {bound:.4f}: "
            + ("holds" if holds else "FAILS"),
        )
        for words, bound, holds in bounds
    ]
    if before is None and (gate.max_drop, gate.max_rise) != (None, None):
        verdicts.append(_not_compared(gate, figure, current))
    return verdicts


def _without_figure(gate: Gate, figures: Mapping[str, float], partial: bool) -> Verdict:
    if partial:
        why = "judged at the update, its figure is in the release's evidence"
        return Verdict(holds=True, text=f"{gate.metric}: {why}")
    known = ", ".join(sorted(figures)) or "none"
    return Verdict(holds=False, text=f"{gate.metric}: not measured (measured: {known})")


def _not_compared(gate: Gate, figure: float, current: Mapping[str, float] | None) -> Verdict:
    why = (
        "no release at the stage, or this one is pinned"
        if current is None
        else "the release to compare with has no such figure in its tag"
    )
    return Verdict(holds=True, text=f"{gate.metric} {figure:.4f}: not compared ({why})")
