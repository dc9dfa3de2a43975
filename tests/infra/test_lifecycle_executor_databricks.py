"""Training as a Databricks run: started once, found again, waited for, checked to the last task.

The API stands in here, for states that no service can be brought into at will;
`tests/cloud/test_databricks_run.py` runs the same code over HTTP.
"""

import re
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from databricks.sdk.errors import (
    InternalError,
    PermissionDenied,
    TemporarilyUnavailable,
    TooManyRequests,
)
from databricks.sdk.service.jobs import Run, RunOutput, RunTask
from lifecycle_jobs import (
    DONE,
    FAILED,
    FIRST_RUN,
    JOB,
    PENDING,
    RUNNING,
    FakeJobs,
    moment,
    state,
    task,
)

from infra.lifecycle import executor_databricks
from infra.lifecycle.errors import TrainingError, WorkspaceError
from infra.lifecycle.executor import TrainingRequest
from infra.lifecycle.executor_databricks import TrainingJob

FINGERPRINT = "f0" * 32
ENDS_WELL: list[Run | Exception] = [moment(PENDING), moment(RUNNING), moment(DONE)]
FAILS: list[Run | Exception] = [moment(RUNNING), moment(FAILED)]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_databricks, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(executor_databricks, "_CANCEL_SECONDS", 0.05)


def request(**changes: Any) -> TrainingRequest:
    values: dict[str, Any] = {
        "registry": {
            "model_name": "main.hr.attrition",
            "tracking_uri": "databricks",
            "registry_uri": "databricks-uc",
        },
        "data": "here.csv",
        "data_sha256": "da" * 32,
        "code_sha256": "c0" * 32,
        "parameters": {"seed": 7.0},
        "fingerprint": FINGERPRINT,
    }
    return TrainingRequest(**{**values, **changes})


def job(jobs: FakeJobs) -> TrainingJob:
    fake: Any = jobs
    return TrainingJob(
        fake, job_id=JOB, experiment="/Shared/hr/attrition", data_path="/Volumes/hr.csv"
    )


def run(jobs: FakeJobs, *, seconds: float = 60, **changes: Any) -> str:
    return job(jobs).run(request(**changes), timeout_seconds=seconds)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.strip() for line in capsys.readouterr().out.splitlines()]


# a run that ends well


def test_a_run_gets_everything_that_decides_it() -> None:
    jobs = FakeJobs(ENDS_WELL)
    run(jobs)
    assert jobs.runs[FIRST_RUN].parameters == {
        "tracking_uri": "databricks",
        "registry_uri": "databricks-uc",
        "experiment": "/Shared/hr/attrition",
        "model_name": "main.hr.attrition",
        "fingerprint": FINGERPRINT,
        "code_sha256": "c0" * 32,
        "data": "/Volumes/hr.csv",
        "data_sha256": "da" * 32,
        "parameters": '{"seed": 7}',
    }


def test_progress_is_seen_and_the_page_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = FakeJobs([*ENDS_WELL[:2], *ENDS_WELL[1:]])
    jobs.outputs[900] = RunOutput(logs="dataset     1,470 rows\n\nrelease     version 1\n")
    assert run(jobs) == f"https://workspace/run/{FIRST_RUN}"
    assert lines(capsys) == [
        f"run {FIRST_RUN}: https://workspace/run/{FIRST_RUN}",
        "RUNNING (training RUNNING)",
        "TERMINATED (training TERMINATED)",
        "dataset     1,470 rows",
        "release     version 1",
    ]


def test_a_long_silence_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(executor_databricks, "_SILENCE_SECONDS", 0)
    run(FakeJobs([moment(RUNNING)] * 4 + [moment(DONE)]))
    assert "… RUNNING (training RUNNING), for 0 s" in lines(capsys)


def test_output_that_cannot_be_read_does_no_harm() -> None:
    jobs = FakeJobs(ENDS_WELL)
    jobs.outputs[900] = requests.ConnectionError("reset")
    run(jobs)


def test_a_task_that_succeeded_at_its_second_attempt_is_well() -> None:
    first, second = task(FAILED), task(DONE, attempt=1)
    run(FakeJobs([moment(DONE, second, first)]))
    with pytest.raises(TrainingError):
        run(FakeJobs([moment(DONE, task(DONE), task(FAILED, attempt=1))]))


# started once, found again


def test_a_run_under_way_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = FakeJobs()
    other = jobs.add([moment(RUNNING)], "00")
    ours = jobs.add([moment(RUNNING), moment(RUNNING), moment(DONE)], FINGERPRINT)
    scheduled = jobs.add([moment(RUNNING)], "")
    assert run(jobs).endswith(str(ours))
    assert jobs.runs.keys() == {other, ours, scheduled}, "another run was started"
    assert f"run {ours} is under way with exactly these inputs: waiting for it" in lines(capsys)


def test_a_run_that_does_not_tell_its_inputs_is_waited_for() -> None:
    jobs = FakeJobs()
    jobs.tells = False
    jobs.add([moment(RUNNING), moment(RUNNING), moment(DONE)], FINGERPRINT)
    run(jobs)
    assert len(jobs.runs) == 1


def test_a_run_that_is_listed_as_active_but_has_failed_is_not_waited_for() -> None:
    jobs = FakeJobs(ENDS_WELL)
    jobs.add([moment(RUNNING), moment(FAILED)], FINGERPRINT, looks=0)
    jobs.runs[FIRST_RUN].look()
    original = jobs.list_runs

    def outdated(**filters: Any) -> Any:
        if filters.get("active_only"):
            return iter([Run(run_id=FIRST_RUN, state=RUNNING)])
        return original(**filters)

    jobs.list_runs = outdated
    assert run(jobs).endswith(str(FIRST_RUN + 1))


def test_two_quick_starts_are_one_run() -> None:
    """The second process lists before the first one's run is there, and starts after it."""
    jobs = FakeJobs(ENDS_WELL)

    def nothing_yet(**filters: Any) -> Any:
        return iter(())

    jobs.list_runs = nothing_yet
    run(jobs)
    jobs.runs[FIRST_RUN].looks = 0
    run(jobs)
    assert len(jobs.runs) == 1


def test_the_try_after_a_failed_run_is_a_new_run() -> None:
    jobs = FakeJobs(FAILS, FAILS, ENDS_WELL)
    for _ in range(2):
        with pytest.raises(TrainingError):
            run(jobs)
    run(jobs)
    assert len({run.token for run in jobs.runs.values()}) == 3


def test_another_fingerprint_is_another_run() -> None:
    jobs = FakeJobs(ENDS_WELL, ENDS_WELL)
    run(jobs)
    run(jobs, fingerprint="00")
    assert len(jobs.runs) == 2


def test_a_run_that_succeeded_but_whose_release_is_gone_is_repeated() -> None:
    """Only asked for when the registry has no such release."""
    jobs = FakeJobs(ENDS_WELL, ENDS_WELL)
    run(jobs)
    run(jobs)
    assert len(jobs.runs) == 2


def test_an_old_failure_that_is_listed_nowhere_is_no_answer() -> None:
    """Its token is still known: the API answers with the run that failed last week."""
    jobs = FakeJobs(FAILS, FAILS, ENDS_WELL)
    for _ in range(2):
        with pytest.raises(TrainingError):
            run(jobs)
    for old in jobs.runs.values():
        old.started -= 7 * 24 * 3600
    jobs.lists = False
    run(jobs)
    assert len(jobs.runs) == 3


def test_a_run_that_fails_at_once_is_a_failure_and_not_repeated() -> None:
    jobs = FakeJobs([moment(state("INTERNAL_ERROR", "FAILED", "no capacity"))])
    with pytest.raises(TrainingError, match="no capacity"):
        run(jobs)
    assert len(jobs.runs) == 1


def test_answers_that_never_are_new_end_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = FakeJobs()
    jobs.lists = False
    jobs.add([moment(FAILED)], FINGERPRINT, started=0.0)

    def used(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(response=SimpleNamespace(run_id=FIRST_RUN))

    monkeypatch.setattr(jobs, "run_now", used)
    with pytest.raises(WorkspaceError, match=r"starts no new run.*`retrain`"):
        run(jobs)


# the page of a run that somebody else waited for


def test_an_adopted_release_has_the_page_of_its_run() -> None:
    jobs = FakeJobs(FAILS, ENDS_WELL)
    assert job(jobs).page(request()) == ""
    with pytest.raises(TrainingError):
        run(jobs)
    run(jobs)
    assert job(jobs).page(request()) == f"https://workspace/run/{FIRST_RUN + 1}"


# runs that do not end well


BAD_ENDS = {
    "failed": state("TERMINATED", "FAILED", "it broke"),
    "timed out": state("TERMINATED", "TIMEDOUT", "it broke"),
    "cancelled": state("TERMINATED", "CANCELED", "it broke"),
    "skipped": state("SKIPPED", "", "it broke"),
    "too many": state("SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED", "it broke"),
    "internal error": state("INTERNAL_ERROR", "FAILED", "it broke"),
    "no result": state("TERMINATED", "", "it broke"),
    "half well": state("TERMINATED", "SUCCESS_WITH_FAILURES", "it broke"),
}


@pytest.mark.parametrize("end", BAD_ENDS.values(), ids=BAD_ENDS)
def test_a_run_that_did_not_succeed_is_an_error(end: Any) -> None:
    with pytest.raises(TrainingError, match=f"run {FIRST_RUN} of Databricks job 7.*it broke"):
        run(FakeJobs([moment(RUNNING), moment(end, task(DONE))]))


BAD_TASKS = {
    "failed": state("TERMINATED", "FAILED"),
    "skipped": state("SKIPPED"),
    "excluded": state("TERMINATED", "EXCLUDED"),
    "upstream failed": state("TERMINATED", "UPSTREAM_FAILED"),
    "disabled": state("TERMINATED", "DISABLED"),
    "never run": state("PENDING"),
}


@pytest.mark.parametrize("end", BAD_TASKS.values(), ids=BAD_TASKS)
def test_a_task_that_did_not_succeed_is_an_error_whatever_the_run_says(end: Any) -> None:
    good, bad = task(DONE), task(end, key="second", run_id=901)
    with pytest.raises(TrainingError, match="task second ended as") as caught:
        run(FakeJobs([moment(DONE, good, bad)]))
    assert "task training" not in str(caught.value)


def test_a_task_without_a_state_is_an_error() -> None:
    with pytest.raises(TrainingError, match="task training ended as UNKNOWN"):
        run(FakeJobs([moment(DONE, RunTask(task_key="training", run_id=900))]))


def test_a_failure_quotes_the_tasks_error_and_last_lines() -> None:
    jobs = FakeJobs(FAILS)
    logs = "".join(f"line {number}\n" for number in range(30))
    jobs.outputs[900] = RunOutput(logs=logs, error="RuntimeError: training ended with status 1")
    with pytest.raises(TrainingError) as caught:
        run(jobs)
    assert str(caught.value) == (
        f"run {FIRST_RUN} of Databricks job {JOB} ended as FAILED: Task training failed\n"
        "  task training ended as FAILED: Task training failed\n"
        + "".join(f"    line {number}\n" for number in range(18, 30))
        + "    RuntimeError: training ended with status 1\n"
        f"The whole run: https://workspace/run/{FIRST_RUN}"
    )


def test_no_parameter_is_quoted() -> None:
    """They may be what a person would not see in a log: an address with its signature, say."""
    jobs = FakeJobs(FAILS)
    with pytest.raises(TrainingError) as caught:
        run(jobs, parameters={"seed": 123456789})
    assert "123456789" not in str(caught.value)


def test_a_run_that_takes_too_long_is_cancelled() -> None:
    jobs = FakeJobs([moment(RUNNING)])
    with pytest.raises(
        TrainingError,
        match=rf"longer than allowed and run {FIRST_RUN} was cancelled; "
        r"raise `trainingTimeoutMinutes`.*https://workspace/run",
    ):
        run(jobs, seconds=0.05)
    assert jobs.cancelled == [FIRST_RUN]


def test_a_run_that_cannot_be_cancelled_is_an_error_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs = FakeJobs([moment(RUNNING)])

    def refuse(run_id: int) -> None:
        raise PermissionDenied("not yours")

    monkeypatch.setattr(jobs, "cancel_run", refuse)
    with pytest.raises(TrainingError, match=r"could not be cancelled \(not yours\)"):
        run(jobs, seconds=0.05)


# a workspace that does not answer


OUTAGES = {
    "too many": TooManyRequests("slow down"),
    "unavailable": TemporarilyUnavailable("try later"),
    "internal": InternalError("oops"),
    "network": requests.ConnectionError("reset by peer"),
    "SDK gave up": TimeoutError("Timed out after 0:01:00"),
}


@pytest.mark.parametrize("error", OUTAGES.values(), ids=OUTAGES)
def test_a_wait_outlasts_an_outage(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    run(FakeJobs([moment(RUNNING), moment(RUNNING), error, error, moment(DONE)]))
    said = [line for line in lines(capsys) if "does not answer" in line]
    assert said == [f"the workspace does not answer ({error}); asking again"] * 2


def test_a_long_outage_ends_the_wait_and_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_databricks, "_OUTAGE_SECONDS", 0.05)
    jobs = FakeJobs([moment(RUNNING), moment(RUNNING), TemporarilyUnavailable("try later")])
    with pytest.raises(WorkspaceError, match=r"it goes on: the next `up` waits for it again.*try"):
        run(jobs)
    assert jobs.cancelled == []


def test_a_refusal_ends_the_wait_at_once() -> None:
    jobs = FakeJobs([moment(RUNNING), PermissionDenied("no access"), moment(DONE)])
    with pytest.raises(WorkspaceError, match=rf"job {JOB}, run {FIRST_RUN} .*: no access"):
        run(jobs)


@pytest.mark.parametrize("call", ["list_runs", "run_now"])
def test_a_refusal_before_the_run_names_the_job(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = FakeJobs()

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionDenied("no access")

    monkeypatch.setattr(jobs, call, refuse)
    with pytest.raises(WorkspaceError, match=re.escape(f"Databricks job {JOB}, ")):
        run(jobs)
