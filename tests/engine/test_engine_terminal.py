"""What a person reads."""

import io
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from engine.embedded import Operation, Step
from engine.state import Record
from engine.terminal import StepPrinter, counts, say, summary


def step(operation: Operation, *, name: str = "gate", done: bool = False, **changed: Any) -> Step:
    record = Record(urn="u", type="pulumi-python:dynamic/hr:Gate", name=name, custom=True)
    return Step(operation=operation, record=record, changed=changed, done=done)


@pytest.mark.parametrize(
    ("operation", "begun", "ended"),
    [
        ("create", " + gate       Gate           creating …", "created"),
        ("update", " ~ gate       Gate           updating …", "updated"),
        ("replace", " ± gate       Gate           replacing …", "replaced"),
        ("delete", " - gate       Gate           deleting …", "deleted"),
    ],
)
def test_a_change_has_a_line_when_it_begins_and_one_when_it_ends(
    capsys: pytest.CaptureFixture[str], operation: Operation, begun: str, ended: str
) -> None:
    printer = StepPrinter(planned=False)
    printer(step(operation))
    printer(step(operation, done=True))
    first, second = capsys.readouterr().out.splitlines()
    assert first == begun
    assert re.fullmatch(re.escape(begun[:29]) + rf"{ended} in \d+\.\d s", second)


def test_what_stays_the_same_has_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    StepPrinter(planned=False)(step("same", done=True))
    assert capsys.readouterr().out == " = gate       Gate           same\n"


def test_a_plan_has_the_inputs_that_differ_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    StepPrinter(planned=True)(step("update", b=[1.0, "x"], a="text", key="[secret]"))
    assert capsys.readouterr().out.splitlines() == [
        f" ~ {'gate':<26} {'Gate':<28} update",
        "       a: text",
        '       b: [1.0, "x"]',
        "       key: [secret]",
    ]


def test_a_foreign_resource_says_whose_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    StepPrinter(planned=True)(step("foreign"))
    assert capsys.readouterr().out == f" + {'gate':<26} {'Gate':<28} by pulumi-python\n"


@pytest.mark.parametrize(("length", "shown"), [(100, 100), (101, 100), (5000, 100)])
def test_a_long_value_is_cut(capsys: pytest.CaptureFixture[str], length: int, shown: int) -> None:
    StepPrinter(planned=True)(step("create", text="x" * length))
    value = capsys.readouterr().out.splitlines()[1].partition(": ")[2]
    assert len(value) == shown
    assert value.endswith("…") == (length > 100)


def test_counts_are_by_operation() -> None:
    steps = [step("create"), step("same"), step("create"), step("delete")]
    assert counts(steps) == "2 create, 1 same, 1 delete"
    assert counts([]) == "nothing to do"


OUTPUTS: dict[str, Any] = {
    "apiUrl": "http://127.0.0.1:8000",
    "docsUrl": "http://127.0.0.1:8000/docs",
    "apiKey": "the-key-itself",
    "apiKeyFile": "/a folder/api.key",
    "modelName": "employee-attrition",
    "modelVersion": "3",
    "stage": "local",
    "metrics": {"cv_roc_auc": 0.81234, "cv_brier": 0.1, "other": 1.0},
    "smokeTest": {"records": 50.0, "max_difference": 3e-16},
    "mlflowTrackingUri": "sqlite:////x/mlflow.db",
    "exampleRequest": "/x/example.json",
}


def test_the_summary_says_where_a_containers_log_is() -> None:
    assert "docker logs -f 0123456789ab\n" in summary({**OUTPUTS, "container": "0123456789abcdef"})


def test_the_summary_has_every_address() -> None:
    text = summary({**OUTPUTS, "logFile": "/x/api.log"})
    for shown in (
        "http://127.0.0.1:8000  (documentation: http://127.0.0.1:8000/docs)",
        "employee-attrition version 3, stage local",
        "cv_roc_auc 0.8123  cv_brier 0.1000",
        "50 reference records, largest difference 3.0e-16",
        "\"X-API-Key: $(cat '/a folder/api.key')\" -d '@/x/example.json'",
        "(sqlite:////x/mlflow.db)",
        "tail -f '/x/api.log'",
    ):
        assert shown in text
    assert "the-key-itself" not in text
    assert "other" not in text


def test_a_line_goes_where_it_is_told() -> None:
    target = io.StringIO()
    say("text", to=target)
    assert target.getvalue() == "text\n"


def test_a_reader_that_has_left_stops_nothing() -> None:
    code = (
        "import sys; from engine.terminal import say\n"
        "sys.stdin.read(1)\n"
        "for _ in range(3): say('x' * 100_000)\n"
        "print('went on', file=sys.stderr, flush=True)\n"
        "import os; os._exit(0)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.getcwd()},  # noqa: PTH109 - a path as text is needed
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.write(b"x")
    process.stdin.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert (process.wait(timeout=60), errors) == (0, "went on\n")
