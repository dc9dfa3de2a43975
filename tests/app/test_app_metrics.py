"""The metrics against those that Prometheus's own classes would count."""

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.parser import text_string_to_metric_families

from app.metrics import Metrics

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def test_counts_are_those_of_prometheus_own_classes() -> None:
    registry = CollectorRegistry()
    counter = Counter("attrition_requests", "…", ("route", "status"), registry=registry)
    histogram = Histogram(
        "attrition_request_seconds", "…", ("route",), buckets=SECONDS, registry=registry
    )
    metrics = Metrics("7")
    random = np.random.default_rng(5)
    # The bounds themselves, and what is beyond the last.
    seconds = [*SECONDS, 0.0, 7.0, *random.exponential(0.05, 200).tolist()]
    for at, each in enumerate(seconds):
        route, status = ("/predict", "/drift", "")[at % 3], (200, 422)[at % 2]
        counter.labels(route, str(status)).inc()
        histogram.labels(route).observe(each)
        metrics.request(route, status, each)
    expected = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }
    assert {key: found[key] for key in expected} == expected


def test_what_was_never_counted_is_zero() -> None:
    text = Metrics("7").text().decode()
    assert 'attrition_answers_total{decision="refer"} 0.0' in text
    assert "attrition_outliers_total 0.0" in text
    assert "attrition_drift -1.0" in text
