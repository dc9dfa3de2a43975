"""On reference traffic alarms keep to their stated rates, and bounds are what they say."""

# pandas, SciPy and scikit-learn are typed in part or not at all (2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from monitoring_lines import PLACE, Ask, Model, Scored, alarms, days, request, requests
from scipy import stats

from contract.outliers import OUTLIER_SHARE
from monitoring.local import LogStore
from monitoring.queries import Span
from monitoring.reference import Reference
from monitoring.rules import RULES
from training.drift.bins import count_codes, encode
from training.drift.counts import psi
from training.drift.detector import DriftDetector

WINDOWS = 200
SIZES = (60, 120, 250, 500, 1_000)
RATES = {"drift": 0.01, "scores": 0.01, "outliers": 0.001, "errors": 0.001, "latency": 0.0}
"""Share of windows without a change that may raise an alarm, as the queries' headers say."""


def most(rate: float, windows: int = WINDOWS) -> int:
    """Alarms that a rate explains in all but 1 of 1,000 repetitions."""
    return int(stats.binom.ppf(0.999, windows, rate))


def test_every_rate_is_that_of_a_rule() -> None:
    watched = {rule.query for rule in RULES}
    assert RATES.keys() | {"silence", "restarts"} == watched


@pytest.fixture
def reference_traffic(store: LogStore, model: Model, table: Scored, now: datetime) -> None:
    """Two hundred days of records drawn from the table, over two replicas, of every size."""
    random = np.random.default_rng(20_26)
    for day in range(WINDOWS):
        rows = random.integers(len(table), size=SIZES[day % len(SIZES)])
        end = now - timedelta(days=day, minutes=1)
        for pod, half in enumerate(np.array_split(rows, 2)):
            records = table.take(half)
            lines = model.windows(end, records) + requests(end, records)
            for line in lines:
                if line["event"] == "request":
                    line["duration_ms"] = float(random.lognormal(0.5, 0.8))
                    # Exactly the share of errors that the environment allows.
                    line["status"] = 500 if random.random() < 0.01 else 200
            store.add_lines(lines, place=PLACE, pod=f"api-{pod}")


@pytest.mark.usefixtures("reference_traffic")
def test_two_hundred_windows_without_a_change_keep_to_the_stated_rates(ask: Ask) -> None:
    for query, rate in RATES.items():
        rows = ask(query, span=days(WINDOWS))
        assert len({row["Time"] for row in rows}) == WINDOWS, query
        assert len(alarms(rows)) <= most(rate), query
    assert not ask("silence", end="| where Alarm")
    assert not ask("restarts")


def test_windows_of_people_whom_the_reference_has_not_seen_keep_to_the_rate(
    store: LogStore, ask: Ask, features: pd.DataFrame, model: Model, now: datetime
) -> None:
    """Half of the table is the reference, windows are of the other: it too is but a sample."""
    random = np.random.default_rng(7)
    lines: list[dict[str, Any]] = []
    order = random.permutation(len(features))
    seen, unseen = features.iloc[order[:735]], features.iloc[order[735:]]
    detector = DriftDetector().fit(seen)
    half = Model(
        bundle=model.bundle, answerer=model.answerer, outliers=model.outliers, drift=detector
    )
    scored = half.score(unseen)
    for day in range(WINDOWS):
        rows = random.choice(len(scored), size=SIZES[day % 4] // 2, replace=False)
        lines += half.windows(now - timedelta(days=day, minutes=1), scored.take(rows))
    store.add_lines(lines, place=PLACE)
    reference = Reference.of("7", detector.to_dict())
    found = ask("drift", span=days(WINDOWS), reference=reference)
    assert len({row["Time"] for row in found}) == WINDOWS
    assert len(alarms(found)) <= most(RATES["drift"])


@pytest.mark.parametrize("expected", [0.01, 0.05])
def test_the_bound_of_a_share_holds_at_every_count(
    store: LogStore, now: datetime, ask: Ask, expected: float
) -> None:
    """Checked against the binomial tail itself, from one record to a hundred thousand."""
    counts = [1, 2, 5, 10, 20, 50, 100, 300, 1_000, 10_000, 100_000]
    lines = [
        request(now - timedelta(days=day, minutes=1), records=count)
        for day, count in enumerate(counts)
    ]
    store.add_lines(lines, place=PLACE)
    end = f"| project Records, Limit = Bound(todouble(Records), {expected})"
    for row in ask("outliers", span=days(len(counts)), end=end):
        first_alarm = np.floor(row["Limit"] * row["Records"]) + 1
        chance = stats.binom.sf(first_alarm - 1, row["Records"], expected)
        assert chance <= 0.001, row
        # And not so wide that nothing is ever found: three times the expected share of a thousand.
        if row["Records"] >= 1_000:
            assert row["Limit"] < 3 * expected


def test_the_header_s_examples_of_outliers_are_right(
    store: LogStore, now: datetime, ask: Ask
) -> None:
    cases = [(100, 7, False), (100, 8, True), (1_000, 24, False), (1_000, 25, True), (1, 1, False)]
    for day, (records, outliers, _) in enumerate(cases):
        time = now - timedelta(days=day, minutes=1)
        store.add_lines([request(time, records=records, outliers=outliers)], place=PLACE)
    found = {(row["Records"], row["Outliers"]): row for row in ask("outliers", span=days(5))}
    assert {key: row["Alarm"] for key, row in found.items()} == {
        (records, outliers): alarm for records, outliers, alarm in cases
    }
    assert {row["Expected"] for row in found.values()} == {OUTLIER_SHARE}


def test_psi_is_training_s_and_its_limit_the_chi_squared_quantile(
    store: LogStore, ask: Ask, features: pd.DataFrame, model: Model, now: datetime
) -> None:
    sample = features.sample(90, random_state=3)
    store.add_lines(model.windows(now - timedelta(minutes=1), model.score(sample)), place=PLACE)
    bins = tuple(model.drift.bins().values())
    table, window = (count_codes(encode(records, bins)) for records in (features, sample))
    rows = {row["Feature"]: row for row in ask("drift")}
    assert rows.keys() == {field.name for field in bins}
    for index, field in enumerate(bins):
        found = rows[field.name]
        assert found["Records"] == 90
        expected = psi(table[index, : field.size], window[index, : field.size])
        assert found["Psi"] == pytest.approx(float(expected), abs=1e-12)
        quantile = stats.chi2.isf(0.01 / 28, field.size - 1) * (1 / 90 + 1 / len(features))
        # Wilson and Hilferty's is never below, and above by 5 % with one degree of freedom.
        assert max(0.1, 0.995 * quantile) <= found["Limit"] <= max(0.1, 1.06 * quantile)


def test_fewer_than_fifty_records_are_compared_and_raise_no_alarm(
    store: LogStore, ask: Ask, model: Model, features: pd.DataFrame, now: datetime
) -> None:
    old = features.assign(Age=60).head(49)
    store.add_lines(model.windows(now - timedelta(minutes=1), model.score(old), 49), place=PLACE)
    (age,) = [row for row in ask("drift") if row["Feature"] == "Age"]
    assert age["Psi"] > age["Limit"]
    assert not age["Alarm"]


def test_an_alert_sees_its_window_as_one_step(store: LogStore, ask: Ask, now: datetime) -> None:
    store.add_lines(
        [request(now - timedelta(minutes=minutes)) for minutes in (1, 20, 29)], place=PLACE
    )
    (row,) = ask("requests", span=Span.one_step(30))
    assert row["Requests"] == 3
    assert row["Time"] == now.replace(tzinfo=None)
