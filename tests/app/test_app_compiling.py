"""What would fail later on a legal record is refused when the release is loaded."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_bundles import write_bundle
from app_releases import change

from app.compiling import legal_values
from app.release import load
from contract.employee import DETECTED_NAMES, FIELDS, Category
from contract.release import CLASSIFIER, OUTLIERS, ReleaseError

Edit = Callable[[Any], object]

# Places of columns in the fixture's classifier.
OVERTIME, LEVEL, LEVEL_FROM, INCOME, RATIO = 0, 2, 3, 7, 10


def column(place: int, **changes: Any) -> Edit:
    return lambda content: content["columns"][place].update(changes)


def field(name: str, /, **changes: Any) -> Edit:
    return lambda content: content["fields"][DETECTED_NAMES.index(name)].update(changes)


def put(**changes: Any) -> Edit:
    return lambda content: content.update(changes)


def drop(*keys: Any) -> Edit:
    def edit(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return edit


NO_NUMBER = (None, "1", True, [1.0], math.nan, -math.inf, 1e51, 10**400)

CLASSIFIERS: list[tuple[Edit, str]] = [
    (drop("columns"), "'columns' is missing"),
    (put(columns=None), "NoneType"),
    (drop("at_baseline"), "'at_baseline' is missing"),
    (put(at_baseline=0.5), "float"),
    (put(at_baseline=[0.1, None, 0.2]), "'at_baseline' must be a finite number"),
    (put(at_baseline=[0.1]), "column 0: 'uncertainty' has 3 directions; 'at_baseline' has 1"),
    *((put(**{key: None}), f"'{key}' must be a finite number") for key in ("baseline", "z")),
    *((put(**{key: None}), f"'{key}' must be") for key in ("remainder", "threshold")),
    *((drop(key), f"'{key}' is missing") for key in ("baseline", "z", "remainder", "threshold")),
    (put(remainder=-0.1), "'remainder' must not be negative"),
    (put(z=-1.0), "'z' must not be negative"),
    (lambda content: content["columns"].append([]), "column 12: list indices"),
    *(
        (drop("columns", RATIO, key), f"column 10: '{key}' is missing")
        for key in ("kind", "field", "against", "coefficient", "mean", "mean_field")
    ),
    (drop("columns", RATIO, "mean_inverse"), "column 10: 'mean_inverse' is missing"),
    (drop("columns", RATIO, "uncertainty"), "column 10: 'uncertainty' is missing"),
    *((column(LEVEL, mean=value), "column 2: 'mean' must be a finite") for value in NO_NUMBER),
    (column(LEVEL, coefficient=math.nan), "column 2: 'coefficient' must be a finite number"),
    (column(LEVEL, uncertainty=[0.1, 0.2, "0"]), "column 2: 'uncertainty' must be a finite number"),
    (column(LEVEL, uncertainty=[0.1]), "column 2: 'uncertainty' has 1 directions; .* has 3"),
    (column(LEVEL, uncertainty=0.1), "column 2: .*float"),
    (column(RATIO, mean_field=None), "column 10: 'mean_field' must be a finite number"),
    (column(RATIO, mean_inverse=None), "column 10: 'mean_inverse' must be a finite number"),
    (column(LEVEL, kind="spline"), "column 2: 'spline' is no kind"),
    (column(LEVEL, kind=["is"]), "column 2: .* is no kind"),
    (column(LEVEL, field="Shoe"), "column 2: 'Shoe' is no field"),
    (column(LEVEL, field=["Age"]), "column 2: .* is no field"),
    (column(LEVEL, against=6), "column 2: 'JobLevel' has a column for a value that is not legal"),
    (column(OVERTIME, against="yes"), "column 0: 'OverTime' has a column for a value"),
    *(
        (column(OVERTIME, kind=kind), f"column 0: 'OverTime' is a category and has no .*'{kind}'")
        for kind in ("value", "log1p", "at_least", "ratio")
    ),
    (column(LEVEL_FROM, against=None), "column 3: 'against' must be a finite number"),
    (column(LEVEL_FROM, against="2"), "column 3: 'against' must be a finite number"),
    (column(RATIO, against=None), "column 10: None is no field"),
    (column(RATIO, against="Gender"), "column 10: 'Gender' is a category and cannot divide"),
    (column(INCOME, kind="is", against=500), "column 7: 'MonthlyIncome' has too many legal values"),
    (column(INCOME, kind="at_least", against=500), "column 7: .* too many .* 'at_least'"),
]

DETECTORS: list[tuple[Edit, str]] = [
    (drop("fields"), "'fields' is missing"),
    (put(fields=7), "int"),
    (drop("fields", 3, "name"), "'name' is missing"),
    (field("Age", name="Shoe"), "'Shoe' is no field of an employee record"),
    (field("Age", name="DailyRate"), "'fields' must be of the contract, each once"),
    (lambda content: content["fields"].reverse(), "'fields' must be of the contract, each once"),
    (lambda content: content["fields"].append(content["fields"][0]), "'fields' must be"),
    (drop("threshold"), "'threshold' is missing"),
    *((put(threshold=value), "'threshold' must be a finite number") for value in NO_NUMBER),
    *((drop("fields", 0, key), f"field 'Age': '{key}' is missing") for key in ("edges", "parents")),
    (drop("fields", 0, "table"), "field 'Age': 'table' is missing"),
    (drop("fields", 1, "categories"), "field 'BusinessTravel': 'categories' is missing"),
    (field("Age", edges=[60, 25]), "field 'Age': 'edges' must ascend"),
    (field("Age", edges=[25, "60"]), "field 'Age': 'edges' must be a finite number"),
    (field("Age", edges=None), "field 'Age': .*NoneType"),
    (field("Age", edges=[25]), r"field 'Age': 'table' is \(3,\).* are \(2,\)"),
    (field("OverTime", categories=["No"]), "field 'OverTime': 'categories' must be"),
    (field("OverTime", categories=["No", "No"]), "field 'OverTime': 'categories' must be"),
    (field("OverTime", categories=["No", 2]), "field 'OverTime': "),
    (field("OverTime", categories=None), "field 'OverTime': .*NoneType"),
    (field("OverTime", parents=["Shoe"]), "field 'OverTime': 'Shoe' is no field"),
    (field("OverTime", parents=[["Age"]]), "field 'OverTime': .* is no field"),
    (field("OverTime", parents=["JobLevel"]), r"'OverTime': 'table' is \(2, 3, 2\).* are \(2, 2\)"),
    (field("OverTime", parents=["BusinessTravel", "JobLevel"]), r"are \(3, 2, 2\)"),
    (field("OverTime", parents=None), "field 'OverTime': .*NoneType"),
    # Another field's bins are an axis of this one's table.
    (field("JobLevel", edges=[], table=[0.0]), r"field 'MonthlyIncome': 'table' is \(2, 3\)"),
    (field("Age", table=[1.0, 2.0]), r"field 'Age': 'table' is \(2,\)"),
    (field("Age", table=7.0), r"field 'Age': 'table' is \(\)"),
    (field("Age", table=[1.0, [2.0], 3.0]), "field 'Age': .*inhomogeneous"),
    *(
        (field("Age", table=[1.0, value, 3.0]), "field 'Age': 'table' must hold finite numbers")
        for value in (None, "2", math.nan, math.inf, 1e51, 10**400)
    ),
]

EDITS = [(CLASSIFIER, *each) for each in CLASSIFIERS] + [(OUTLIERS, *each) for each in DETECTORS]


@pytest.mark.parametrize(("name", "edit", "message"), EDITS)
def test_what_would_fail_later_is_refused_at_once(
    tmp_path: Path, name: str, edit: Edit, message: str
) -> None:
    write_bundle(tmp_path)
    change(tmp_path, name, edit)
    with pytest.raises(ReleaseError, match=f"{name}: .*{message}"):
        load(tmp_path)


@pytest.mark.parametrize("name", [CLASSIFIER, OUTLIERS])
@pytest.mark.parametrize("content", ["[]", "null", '"x"', "{", "\xff", "7"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, name: str, content: str) -> None:
    write_bundle(tmp_path)
    change(tmp_path, name, lambda _: None, text=content)
    with pytest.raises(ReleaseError, match=f"{name}: "):
        load(tmp_path)


def test_numbers_may_be_written_as_whole_ones(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    change(tmp_path, CLASSIFIER, column(LEVEL, mean=0, coefficient=1, uncertainty=[0, 0, 0]))
    change(tmp_path, OUTLIERS, field("Age", table=[1, 2, 3]))
    release = load(tmp_path)
    assert release.classifier.table.dtype == release.outliers.terms.dtype == float


def test_legal_values_are_in_the_order_of_their_codes() -> None:
    for each in FIELDS:
        values = legal_values(each)
        if isinstance(each, Category):
            assert values == each.categories
        else:
            assert (values[0], values[-1]) == (each.minimum, each.maximum)
            assert len(values) == each.maximum - each.minimum + 1
