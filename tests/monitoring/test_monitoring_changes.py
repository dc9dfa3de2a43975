"""Each planted change raises its alarm; what is no change of ours raises none."""

# pandas and scikit-learn are typed in part (2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from monitoring_changes import DRIFTS, RECORDS, Change, all_overtime, drawn, odd, older
from monitoring_lines import PLACE, Ask, Model, Scored, probe, request, requests

from monitoring.local import LogStore
from monitoring.queries import QUERIES, Span
from monitoring.rules import ONLY_ALARMS, RULES, Rule

BY_QUERY = {rule.query: rule for rule in RULES}


@pytest.fixture
def fired(ask: Ask) -> Callable[[str], list[dict[str, Any]]]:
    """Evaluate an alert rule as Azure does: over its window, in one step, alarms alone."""

    def fired(query: str) -> list[dict[str, Any]]:
        return ask(query, span=BY_QUERY[query].span, end=ONLY_ALARMS)

    return fired


Fired = Callable[[str], list[dict[str, Any]]]


@pytest.mark.parametrize(("change", "field"), DRIFTS.items(), ids=DRIFTS.values())
@pytest.mark.parametrize("seed", range(3))
def test_a_changed_population_is_drift_in_the_field_that_changed(
    store: LogStore,
    fired: Fired,
    model: Model,
    features: pd.DataFrame,
    now: datetime,
    change: Change,
    field: str,
    seed: int,
) -> None:
    records = model.score(change(features, np.random.default_rng(seed)))
    for pod, half in enumerate(np.array_split(np.arange(RECORDS), 2)):
        lines = model.windows(now - timedelta(hours=1), records.take(half))
        store.add_lines(lines, place=PLACE, pod=f"api-{pod}")
    found = fired("drift")
    assert field in {row["Feature"] for row in found}
    assert {row["Records"] for row in found} == {RECORDS}
    if change is older:
        assert len(found) == 1


def test_one_replica_alone_would_have_too_few_records(
    store: LogStore, fired: Fired, model: Model, features: pd.DataFrame, now: datetime
) -> None:
    """Sums over the fleet find what no replica has records enough to say."""
    records = model.score(older(features, np.random.default_rng(1)).head(240))
    for pod in range(6):
        part = records.take(slice(40 * pod, 40 * pod + 40))
        store.add_lines([model.window(now - timedelta(hours=1), part)], place=PLACE, pod=f"{pod}")
    assert "Age" in {row["Feature"] for row in fired("drift")}
    store.clear()
    store.add_lines(
        [model.window(now - timedelta(hours=1), records.take(slice(0, 40)))], place=PLACE
    )
    assert not fired("drift")


def test_scores_that_shift_are_seen(
    store: LogStore, fired: Fired, model: Model, features: pd.DataFrame, now: datetime
) -> None:
    records = model.score(all_overtime(features, np.random.default_rng(2)))
    store.add_lines(model.windows(now - timedelta(hours=1), records), place=PLACE)
    found = fired("scores")
    assert [round(row["From"], 1) for row in found] == [tenth / 10 for tenth in range(10)]
    assert sum(row["Records"] for row in found) == RECORDS
    assert sum(row["Share"] for row in found) == pytest.approx(1)
    assert sum(row["ReferenceShare"] for row in found) == pytest.approx(1)


def test_lines_of_before_say_nothing_of_hypothetical_records_and_count(
    store: LogStore, now: datetime, ask: Ask
) -> None:
    line = request(now - timedelta(hours=1), records=50, outliers=1)
    del line["hypothetical"]
    store.add_lines([line], place=PLACE)
    (row,) = ask("outliers")
    assert (row["Records"], row["Outliers"]) == (50, 1)


def test_planted_outliers_are_counted_against_the_expected_share(
    store: LogStore, fired: Fired, model: Model, features: pd.DataFrame, now: datetime
) -> None:
    random = np.random.default_rng(3)
    planted = model.score(odd(features, random))
    normal = drawn(features, random)
    store.add_lines(requests(now - timedelta(hours=1), model.score(normal)), place=PLACE)
    assert not fired("outliers")
    store.add_lines(requests(now - timedelta(hours=2), planted), place=PLACE)
    (found,) = fired("outliers")
    assert found["Outliers"] >= planted.outliers.sum() > 10
    assert found["Records"] == RECORDS + len(planted)


def test_errors_are_seen_and_refusals_are_the_caller_s(
    store: LogStore, fired: Fired, ask: Ask, now: datetime
) -> None:
    at = now - timedelta(minutes=3)
    store.add_lines([request(at, status=422, records=0) for _ in range(300)], place=PLACE)
    assert not fired("errors")
    store.add_lines(
        [request(at, status=500, records=0, route=None) for _ in range(20)], place=PLACE
    )
    (found,) = fired("errors")
    assert (found["Requests"], found["Refused"], found["Errors"]) == (320, 300, 20)
    # Thousands of answered probes do not make a failing API look well.
    store.add_lines([probe(at) for _ in range(3_000)], place=PLACE)
    assert fired("errors") == [found]


def test_the_release_that_fails_is_named(store: LogStore, fired: Fired, now: datetime) -> None:
    at = now - timedelta(minutes=3)
    lines = [request(at, release="8", status=503) for _ in range(5)]
    store.add_lines([*lines, *(request(at) for _ in range(200))], place=PLACE)
    assert [row["Release"] for row in fired("errors")] == ["8"]


def test_slow_answers_are_seen_and_one_slow_request_is_not(
    store: LogStore, fired: Fired, now: datetime
) -> None:
    at = now - timedelta(minutes=3)
    store.add_lines([request(at) for _ in range(99)], place=PLACE)
    store.add_lines([request(at, duration_ms=4_000.0)], place=PLACE)
    assert not fired("latency")
    store.add_lines([request(at, duration_ms=400.0) for _ in range(10)], place=PLACE)
    (found,) = fired("latency")
    assert found["P50"] < 2 < 250 < found["P95"] == 400 <= found["P99"]


def test_nineteen_slow_requests_are_no_percentile(
    store: LogStore, fired: Fired, now: datetime
) -> None:
    at = now - timedelta(minutes=3)
    store.add_lines([request(at, duration_ms=400.0) for _ in range(19)], place=PLACE)
    assert not fired("latency")
    store.add_lines([request(at, duration_ms=400.0)], place=PLACE)
    assert fired("latency")


def test_silence_is_the_lack_of_any_line(
    store: LogStore, fired: Fired, ask: Ask, now: datetime
) -> None:
    store.add_lines([request(now - timedelta(minutes=20))], place=PLACE)
    (found,) = fired("silence")
    assert found["SilentMinutes"] == pytest.approx(20)
    (seen,) = ask("silence", span=Span(minutes=1440, step_minutes=15))
    assert seen["SilentMinutes"] == pytest.approx(20)
    assert seen["Alarm"]
    # Nobody asks for predictions at night; Kubernetes asks for health all the same.
    store.add_lines([probe(now - timedelta(minutes=1))], place=PLACE)
    assert not fired("silence")


def inventory(now: datetime, restarts: Mapping[int, int], **changes: Any) -> list[dict[str, Any]]:
    """What Container insights says of one container: its restarts by minutes ago."""
    return [
        {
            "TimeGenerated": now - timedelta(minutes=ago),
            "_ResourceId": PLACE.cluster,
            "Namespace": PLACE.namespace,
            "Name": "api-7-abc",
            "ContainerName": "uid/api",
            "ContainerRestartCount": count,
            "PodCreationTimeStamp": now - timedelta(days=3),
            "ContainerLastStatus": "OOMKilled",
            **changes,
        }
        for ago, count in restarts.items()
    ]


@pytest.mark.parametrize(
    ("restarts", "changes", "expected"),
    [
        ({50: 4, 30: 4, 5: 4}, {}, None),
        ({50: 4, 30: 5, 5: 6}, {}, None),
        ({50: 4, 30: 5, 5: 7}, {}, 3),
        ({50: 0, 5: 3}, {"Namespace": "kube-system"}, None),
        ({90: 0, 50: 9, 5: 9}, {}, None),
    ],
    ids=["old ones", "two", "three", "another namespace's", "before the window"],
)
def test_three_restarts_within_the_hour_are_a_loop(
    store: LogStore,
    fired: Fired,
    now: datetime,
    restarts: Mapping[int, int],
    changes: dict[str, Any],
    expected: int | None,
) -> None:
    store.add("KubePodInventory", inventory(now, restarts, **changes))
    found = fired("restarts")
    assert [row["Restarts"] for row in found] == ([expected] if expected else [])


def test_a_pod_that_was_never_seen_well_is_seen(
    store: LogStore, fired: Fired, now: datetime
) -> None:
    new = {"PodCreationTimeStamp": now - timedelta(minutes=8)}
    store.add("KubePodInventory", inventory(now, {6: 4, 5: 4}, **new))
    (found,) = fired("restarts")
    assert (found["Restarts"], found["LastStatus"]) == (4, "OOMKilled")


def strangers(model: Model, table: Scored, at: datetime) -> dict[str, dict[str, Any]]:
    shifted = table.take(np.argsort(table.codes[:, 0])[-200:])
    window = model.window(at, shifted)
    return {
        "before the schema": {key: window[key] for key in window if key != "schema"},
        "a later schema": {**window, "schema": 2},
        "another event": {**window, "event": "windows"},
        "a release of before": {**window, "release": "6"},
    }


@pytest.mark.parametrize("which", ["before the schema", "a later schema", "another event",
                                   "a release of before"])  # fmt: skip
def test_lines_of_others_are_not_compared(
    store: LogStore, ask: Ask, model: Model, table: Scored, now: datetime, which: str
) -> None:
    line = strangers(model, table, now - timedelta(hours=1))[which]
    store.add_lines([line], place=PLACE)
    assert ask("drift") == ask("scores") == []


@pytest.mark.parametrize("other", ["cluster", "namespace"])
def test_another_environment_s_lines_are_not_ours(
    store: LogStore, fired: Fired, now: datetime, other: str
) -> None:
    """Both environments write to one log store."""
    place = type(PLACE)(**{**vars(PLACE), other: "another"})
    lines = [request(now - timedelta(minutes=1), status=500) for _ in range(50)]
    store.add_lines(lines, place=place)
    assert not fired("errors")
    assert fired("silence")


def test_a_cluster_s_id_is_compared_whatever_its_case(
    store: LogStore, fired: Fired, now: datetime
) -> None:
    """Log Analytics writes resource ids in lower case."""
    place = type(PLACE)(cluster=PLACE.cluster.lower(), namespace=PLACE.namespace)
    store.add_lines([probe(now - timedelta(minutes=1))], place=place)
    assert not fired("silence")


def test_text_that_is_no_json_is_passed_over(store: LogStore, ask: Ask, now: datetime) -> None:
    row = {"TimeGenerated": now, "_ResourceId": PLACE.cluster, "PodNamespace": PLACE.namespace}
    for message in ('"Traceback (most recent call last):"', "[1, 2]", "null", '{"schema": "x"}'):
        store.add("ContainerLogV2", [{**row, "LogMessage": message}])
    for query in QUERIES:
        assert not [row for row in ask(query) if query != "silence"], query


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.query)
def test_a_new_workspace_has_no_tables_and_is_silent(ask: Ask, rule: Rule) -> None:
    found = ask(rule.query, span=rule.span, end=ONLY_ALARMS, store=LogStore(tables=()))
    assert len(found) == (1 if rule.query == "silence" else 0)


def test_a_release_without_a_histogram_of_scores_is_watched_for_the_rest(
    store: LogStore, ask: Ask, model: Model, table: Scored, now: datetime
) -> None:
    store.add_lines(model.windows(now - timedelta(hours=1), table), place=PLACE)
    before = model.reference.only(*model.reference.features)
    assert ask("scores", reference=before) == []
    assert len(ask("drift", reference=before)) == 28
