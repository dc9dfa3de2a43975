import json
import math
import subprocess
import sys
from typing import Any

import pytest
from app_processes import ROOT

from app.answers import difference

INFINITE = math.inf


@pytest.mark.parametrize(
    ("found", "expected", "apart"),
    [
        (0.25, 0.5, 0.25),
        (0.5, 0.25, 0.25),
        (-1.0, 1.0, 2.0),
        (1, 1.0, 0.0),
        # Above 1 it is relative, to what is expected.
        (300.0, 200.0, 0.5),
        (200.0, 400.0, 0.5),
        (-200.0, -400.0, 0.5),
        (math.nan, 0.5, INFINITE),
        (0.5, math.nan, INFINITE),
        (math.nan, math.nan, INFINITE),
        (math.inf, 1.0, INFINITE),
        (10**400, 1.0, INFINITE),
        (1.0, 10**400, INFINITE),
    ],
)
def test_numbers(found: Any, expected: Any, apart: float) -> None:
    assert difference(found, expected) == apart
    assert difference({"a": [found]}, {"a": [expected]}) == apart


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("refer", "refer"),
        (True, True),
        (None, None),
        ([], []),
        ({}, {}),
        # An answer may say more than it did when the release was made.
        ({"a": 1, "new": "x"}, {"a": 1}),
        ([{"a": 1, "new": "x"}], [{"a": 1}]),
    ],
)
def test_the_same(found: Any, expected: Any) -> None:
    assert difference(found, expected) == 0


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("refer", "at_risk"),
        (True, False),
        (True, 1),
        (1, True),
        (0, False),
        (None, False),
        (0, None),
        ("1", 1),
        (1, "1"),
        ([1], [1, 2]),
        ([1, 2], [1]),
        ([2, 1], [1, "2"]),
        ([], {}),
        ({}, []),
        ("ab", ["a", "b"]),
        (["a", "b"], ["b", "a"]),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}),
    ],
)
def test_what_is_no_difference_of_numbers(found: Any, expected: Any) -> None:
    assert difference(found, expected) == INFINITE


def test_the_largest_difference_counts() -> None:
    found = {"a": [0.1, {"b": 0.5}], "c": 3.0}
    assert difference(found, {"a": [0.2, {"b": 0.25}], "c": 4.0}) == 0.25


def test_the_smoke_test_needs_the_standard_library_alone() -> None:
    code = "import json, sys, app.smoke; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded - {"app", "contract"} <= {*sys.stdlib_module_names, "__main__"}
