"""The plots: files that a browser takes, the same for the same evidence, and what they show."""

# Matplotlib's types are partly unknown (3.11.2, 2026-11).
# pyright: reportUnknownMemberType=false

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from contract.employee import INTEGERS
from tests.training.training_evidence import made_up_evidence
from training.drift.detector import FALSE_ALARM_LEVEL
from training.evaluation.drift import PLANTED
from training.evaluation.evidence import Evidence
from training.report.plots import PLOTS, write_plots
from training.report.plots_checks import drift, fairness, outliers
from training.report.plots_effects import effects
from training.report.plots_model import calibration, cost, discrimination
from training.report.plots_style import WIDTH, plot_style

ROOT = Path(__file__).resolve().parents[2]

AXIS_LABELS = {
    "discrimination.svg": (
        "stayers called at risk (FPR)",
        "leavers found (TPR)",
        "leavers found (recall)",
        "leavers among selected (precision)",
    ),
    "calibration.svg": ("probability of leaving, as said", "share who left"),
    "cost.svg": ("threshold (probability)", "(needless approaches)", "share"),
    "effects.svg": ("log-odds", "currency units a month", "level"),
    "fairness.svg": ("share of all", "share of leavers", "share of stayers"),
    "drift.svg": ("records in the window", "share of windows", "share with an alarm"),
    "outliers.svg": ("share of planted outliers caught",),
}
CONTENT = {
    "discrimination.svg": ("ROC: area 0.86 (0.83 to 0.88)", "Mean precision 0.68 (0.62 to 0.74)"),
    "calibration.svg": ("employees of similar probability, 140 to 148 each",),
    "cost.svg": ("chosen: 0.17", "for comparison: 0.50", "leavers found", "80%", "42%", "47%"),
    "effects.svg": ("MonthlyIncome", "Non-Travel", "Frequently", "Technical Degree"),
    "fairness.svg": ("Gender", "Female: 310", "18-29 (few): 120", "left", "selected"),
    "drift.svg": ("50", "200", "1,000", "stated level (any test)", "OverTime", "MonthlyIncome"),
    "outliers.svg": ("role exceeds tenure", "isolation forest", "local outlier factor"),
}


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return made_up_evidence()


@pytest.fixture(scope="module")
def folder(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plots")
    assert write_plots(evidence, folder) == list(PLOTS)
    return folder


@pytest.fixture(autouse=True)
def styled() -> Iterator[None]:
    with plot_style():
        yield


def _texts(path: Path) -> set[str]:
    return {
        text.strip()
        for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
        for text in element.itertext()
    }


def _bars(axes: Axes) -> list[list[tuple[float, float]]]:
    """Return the ends of the error bars on `axes`, by series."""
    series: list[list[tuple[float, float]]] = []
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        (bars,) = container.lines[2]
        segments: Any = bars.get_segments()  # pyright: ignore[reportAttributeAccessIssue] typed too widely
        varying = int(segments[0][0][0] == segments[0][1][0])
        series.append([(float(seg[0][varying]), float(seg[1][varying])) for seg in segments])
    return series


def _ends(rates: list[dict[str, Any]]) -> list[Any]:
    return [pytest.approx((rate["low"], rate["high"])) for rate in rates]


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_an_svg_that_shows_labels_and_figures(folder: Path, name: str) -> None:
    root = ElementTree.parse(folder / name).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("width") == f"{72 * WIDTH:g}pt"
    assert {*AXIS_LABELS[name], *CONTENT[name]} <= _texts(folder / name)


def test_nothing_but_the_plots_is_written(folder: Path) -> None:
    assert sorted(file.name for file in folder.iterdir()) == sorted(PLOTS)


@pytest.mark.parametrize("name", PLOTS)
def test_nothing_is_cut_off(evidence: Evidence, name: str) -> None:
    figure = PLOTS[name](evidence)
    drawn = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
    assert drawn.x0 >= 0
    assert drawn.y0 >= 0
    assert drawn.x1 <= figure.get_figwidth()
    assert drawn.y1 <= figure.get_figheight()


def test_another_process_of_other_settings_writes_the_same_bytes_without_pyplot(
    evidence: Evidence, folder: Path, tmp_path: Path
) -> None:
    program = (
        "import json, pathlib, sys, matplotlib\n"
        "from training.report.plots import write_plots\n"
        "given = {'font.size': 20.0, 'svg.fonttype': 'path', 'axes.facecolor': 'black'}\n"
        "matplotlib.rcParams.update(given)\n"
        "write_plots(json.load(sys.stdin), pathlib.Path(sys.argv[1]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert {key: matplotlib.rcParams[key] for key in given} == given\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        input=json.dumps(evidence),
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "7"},
    )
    for name in PLOTS:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_chosen_threshold_is_where_it_belongs_on_both_curves(evidence: Evidence) -> None:
    roc, recall = discrimination(evidence).axes
    found, precision, selected = 0.97 - 1 / 6, 0.2 + 1 / 12, 0.5 - 1 / 12
    mistaken = selected * (1 - precision) / (1 - 237 / 1_470)
    for axes, point in ((roc, (mistaken, found)), (recall, (found, precision))):
        (mark,) = (line for line in axes.lines if line.get_marker() == "s")
        x, y = np.asarray(mark.get_xydata())[0]
        assert (x, y) == pytest.approx(point, abs=1e-5)


def test_curves_are_drawn_under_their_names(evidence: Evidence) -> None:
    def drawn(axes: Axes, line: int) -> list[list[float]]:
        return np.asarray(axes.lines[line].get_xydata()).tolist()

    curves = evidence["curves"]
    roc, recall = discrimination(evidence).axes
    assert drawn(roc, 0) == [[*point.values()] for point in curves["roc"]]
    assert drawn(recall, 0) == [[*point.values()] for point in curves["precision_recall"]]
    upper, lower = cost(evidence).axes
    assert drawn(upper, 0) == [[p["threshold"], p["cost"]] for p in curves["decision"]]
    assert [line.get_label() for line in lower.lines[:2]] == ["leavers found", "employees selected"]
    assert drawn(lower, 0) == [[p["threshold"], p["found"]] for p in curves["decision"]]
    assert drawn(lower, 1) == [[p["threshold"], p["selected"]] for p in curves["decision"]]


def test_calibration_intervals_are_drawn(evidence: Evidence) -> None:
    (axes,) = calibration(evidence).axes
    points = evidence["curves"]["calibration"]
    assert _bars(axes) == [[pytest.approx((p["low"], p["high"])) for p in points]]


def test_the_cost_of_both_thresholds_is_said(folder: Path) -> None:
    (answer,) = (text for text in _texts(folder / "cost.svg") if "needless approaches:" in text)
    assert "costs as much as 5 needless approaches: 0.30 a record at 0.17, 0.41 at 0.50" in answer


def test_effects_are_of_the_twelve_most_important_fields_on_one_scale(evidence: Evidence) -> None:
    names = [field.name for field in INTEGERS[:14]]
    many = deepcopy(evidence)
    many["effects"] = [
        {**many["effects"][1], "feature": name, "importance": 1.0 + place}
        for place, name in enumerate(names)
    ]
    axes = effects(many).axes
    assert [panel.get_title(loc="left") for panel in axes] == names[:1:-1]
    assert len({panel.get_ylim() for panel in effects(evidence).axes}) == 1


def test_a_value_that_nobody_has_is_hollow(evidence: Evidence) -> None:
    rating = effects(evidence).axes[1]
    assert rating.get_title(loc="left") == "PerformanceRating"
    white = [to_hex(bar.get_facecolor()) == "#ffffff" for bar in rating.patches]
    assert white == [True, True, False, False]


def test_fairness_intervals_are_drawn_and_rates_of_nobody_are_not(evidence: Evidence) -> None:
    attributes = cast("dict[str, Any]", evidence["fairness"]["attributes"])
    groups = [group for of in attributes.values() for group in of["groups"]]
    selected, found, mistaken = (_bars(axes) for axes in fairness(evidence).axes)
    assert selected == [
        _ends([group[name] for group in groups]) for name in ("selection_rate", "leave_rate")
    ]
    rates = [group["true_positive_rate"] for group in groups]
    assert None in rates
    assert found == [_ends([rate for rate in rates if rate])]
    assert mistaken == [_ends([group["false_positive_rate"] for group in groups])]


def test_fairness_answers_with_the_worst_pair_or_says_that_there_is_none(
    evidence: Evidence, folder: Path
) -> None:
    assert any("worst 0.53 (0.48 to 0.57)" in text for text in _texts(folder / "fairness.svg"))
    alone = deepcopy(evidence)
    for attribute in cast("dict[str, Any]", alone["fairness"]["attributes"]).values():
        attribute["adjusted_ratio"] = None
    texts = [text.get_text() for text in fairness(alone).texts]
    assert "No two groups have records enough to be compared." in texts


def test_drift_is_drawn_with_its_intervals_and_the_stated_level(evidence: Evidence) -> None:
    found = cast("dict[str, list[dict[str, Any]]]", evidence["drift"])
    alarms, *powers = drift(evidence).axes
    tests = ("status", "ks", "chi_squared", "joint")
    assert _bars(alarms) == [_ends([row[test] for row in found["alarms"]]) for test in tests]
    level = next(line for line in alarms.lines if line.get_linestyle() == "--")
    assert set(np.asarray(level.get_ydata())) == {FALSE_ALARM_LEVEL}
    for axes, change in zip(powers, ("shift", "mix", "correlation"), strict=True):
        fields = [name for planted, name in PLANTED if planted == change]
        assert _bars(axes) == [
            _ends(
                [
                    row["status"]
                    for row in found["power"]
                    if (row["change"], row["feature"]) == (change, name)
                ]
            )
            for name in fields
        ]


def test_outliers_are_drawn_with_their_intervals(evidence: Evidence) -> None:
    kinds = cast("dict[str, dict[str, Any]]", evidence["outliers"]["kinds"])
    (axes,) = outliers(evidence).axes
    detectors = ("caught", "isolation_forest", "local_outlier_factor")
    assert _bars(axes) == [_ends([kind[name] for kind in kinds.values()]) for name in detectors]


@pytest.mark.parametrize("draw", [calibration, drift, fairness, outliers])
def test_bounds_that_rounding_moved_past_the_value_are_drawn(
    evidence: Evidence, draw: Callable[[Evidence], Figure]
) -> None:
    moved = deepcopy(evidence)
    moved["curves"]["calibration"][0]["low"] = 0.1
    found = cast("dict[str, Any]", moved)
    found["drift"]["alarms"][0]["status"]["high"] = 0.0
    found["outliers"]["kinds"]["extreme_pay_high"]["caught"]["low"] = 1.0
    found["fairness"]["attributes"]["Gender"]["groups"][0]["leave_rate"]["high"] = 0.0
    assert draw(moved).axes
