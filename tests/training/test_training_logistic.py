"""The grouped logistic regression: what it minimises, and that its strengths follow the data."""

# scikit-learn ships no types (1.9.1, 2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from training.classifier.logistic import GroupedLogisticRegression

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def sample() -> tuple[Floats, Labels]:
    """600 rows: three columns that matter, twelve that are noise."""
    random = np.random.default_rng(3)
    rows = random.standard_normal((600, 15))
    logit = rows[:, 0] - rows[:, 1] + 0.8 * rows[:, 2] - 1
    return rows, (random.random(600) < 1 / (1 + np.exp(-logit))).astype(np.int64)


def test_with_one_group_it_is_ridge_regression(sample: tuple[Floats, Labels]) -> None:
    rows, labels = sample
    model = GroupedLogisticRegression(["all"] * 15).fit(rows, labels)
    ridge: Any = LogisticRegression(C=1 / model.precisions_["all"], tol=1e-12, max_iter=1_000)
    ridge.fit(rows, labels)
    np.testing.assert_allclose(model.coef_, ridge.coef_[0], atol=1e-6)
    np.testing.assert_allclose(model.intercept_, ridge.intercept_[0], atol=1e-6)


def test_a_group_of_noise_is_shrunk_and_a_group_that_matters_is_not(
    sample: tuple[Floats, Labels],
) -> None:
    rows, labels = sample
    model = GroupedLogisticRegression(["signal"] * 3 + ["noise"] * 12).fit(rows, labels)
    assert model.precisions_["noise"] > 10 * model.precisions_["signal"]
    assert np.abs(model.coef_[:3]).min() > 0.5
    assert np.abs(model.coef_[3:]).max() < 0.15


def test_probabilities_are_of_the_sorted_classes(sample: tuple[Floats, Labels]) -> None:
    rows, labels = sample
    words = np.where(labels == 1, "Yes", "No")
    model = GroupedLogisticRegression(["all"] * 15)
    by_word: Any = clone(model)
    by_number: Any = clone(model)
    by_word.fit(rows, words)
    by_number.fit(rows, labels)
    assert by_word.classes_.tolist() == ["No", "Yes"]
    np.testing.assert_array_equal(by_word.predict_proba(rows), by_number.predict_proba(rows))
    np.testing.assert_allclose(by_word.predict_proba(rows).sum(axis=1), 1.0)
    predicted = np.where(by_word.predict_proba(rows)[:, 1] > 0.5, "Yes", "No")
    assert by_word.predict(rows).tolist() == predicted.tolist()


def test_separable_classes_and_constant_columns_stay_finite() -> None:
    line = np.linspace(-1, 1, 80)
    rows = np.column_stack([line, np.zeros(80), line**2])
    model = GroupedLogisticRegression(["a", "a", "b"]).fit(rows, (line > 0).astype(np.int64))
    assert np.isfinite(model.coef_).all()
    assert model.coef_[1] == 0.0
    assert model.coef_[0] > 1


def test_the_order_of_rows_does_not_matter(sample: tuple[Floats, Labels]) -> None:
    rows, labels = sample
    order = np.random.default_rng(1).permutation(len(rows))
    groups = ["a"] * 5 + ["b"] * 10
    model = GroupedLogisticRegression(groups).fit(rows, labels)
    again = GroupedLogisticRegression(groups).fit(rows[order], labels[order])
    np.testing.assert_allclose(model.coef_, again.coef_, atol=1e-10)


def test_what_it_cannot_fit_it_refuses(sample: tuple[Floats, Labels]) -> None:
    rows, labels = sample
    model = GroupedLogisticRegression(["all"] * 15)
    with pytest.raises(ValueError, match="expected two classes, found 1"):
        model.fit(rows, np.zeros(600))
    with pytest.raises(ValueError, match="expected two classes, found 3"):
        model.fit(rows, np.arange(600) % 3)
    with pytest.raises(ValueError, match="14 groups named for 15 columns"):
        GroupedLogisticRegression(["all"] * 14).fit(rows, labels)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.where(rows > 2, np.nan, rows), labels)
    with pytest.raises(NotFittedError):
        GroupedLogisticRegression(["all"] * 15).decision_function(rows)
