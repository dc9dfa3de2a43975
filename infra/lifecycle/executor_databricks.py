"""Training as a run of a Databricks job: started once, waited for, and checked task by task.

A run carries its release's fingerprint as a job parameter. So a run that goes on while nobody waits
for it (an `up` was interrupted) is found and waited for; and the token that makes two starts one
names the last run that ended, so that the try after a failed run is a new run.
"""

import contextlib
import hashlib
import itertools
import time
from collections.abc import Generator
from typing import cast

from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.errors.platform import (
    DeadlineExceeded,
    InternalError,
    TemporarilyUnavailable,
    TooManyRequests,
)
from databricks.sdk.service.jobs import (
    BaseRun,
    JobsAPI,
    Run,
    RunLifeCycleState,
    RunNowResponse,
    RunResultState,
    RunState,
    RunTask,
)

from infra.lifecycle.errors import TrainingError, WorkspaceError
from infra.lifecycle.executor import TrainingRequest
from infra.lifecycle.progress import say

__all__ = ["TrainingJob"]

_POLL_SECONDS = 5.0
_SILENCE_SECONDS = 60.0
"""After so long without a change, say that the run goes on."""
_OUTAGE_SECONDS = 600.0
"""How long the workspace may be out of reach while a run is waited for."""
_CANCEL_SECONDS = 60.0
"""How long a cancelled run is given to end."""
_KEPT_LINES = 12
"""How many of a task's last lines are quoted."""
_LOOK_BACK = 200
"""How many of the job's last runs are searched for a failed try."""
_MAX_STALE = 10
_CLOCK_SECONDS = 60.0
"""By how much this machine's clock and the workspace's may differ."""

_ENDED = {
    RunLifeCycleState.TERMINATED,
    RunLifeCycleState.SKIPPED,
    RunLifeCycleState.INTERNAL_ERROR,
}
_TRANSIENT = (DeadlineExceeded, InternalError, TemporarilyUnavailable, TooManyRequests)


class TrainingJob:
    """The `Executor` of a Databricks workspace."""

    def __init__(self, jobs: JobsAPI, *, job_id: int, experiment: str, data_path: str) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self._experiment = experiment
        self._data_path = data_path

    def run(self, request: TrainingRequest, *, timeout_seconds: float) -> str:
        """Start the run, or find the one under way; wait until it has ended well.

        Raises:
            TrainingError: the run or one of its tasks did not succeed, or it took longer than
                `timeout_seconds` and was cancelled; the message quotes the tasks' errors.
            WorkspaceError: the workspace refuses, or is out of reach for too long.
        """
        deadline = time.monotonic() + timeout_seconds
        run_id = self._under_way(request.fingerprint)
        if run_id is None:
            run_id = self._start(request)
        else:
            say(f"run {run_id} is under way with exactly these inputs: waiting for it")
        run = self._wait(run_id, deadline)
        self._check(run)
        return run.run_page_url or ""

    def page(self, request: TrainingRequest) -> str:
        """Return the page of the newest run with the request's fingerprint that ended, or ""."""
        run = self._last_ended(request.fingerprint)
        return (run.run_page_url if run else None) or ""

    def _under_way(self, fingerprint: str) -> int | None:
        """Find an active run with this fingerprint.

        A run that does not tell its parameters is taken for one (Databricks always tells them):
        waiting for it costs time, where starting another would train twice.
        """
        with self._asking("its active runs"):
            for listed in self._jobs.list_runs(job_id=self._job_id, active_only=True):
                # What lists say may be old; they may also leave parameters out.
                run = self._jobs.get_run(_id(listed))
                if not _has_ended(run) and _fingerprint(run) in (fingerprint, None):
                    return _id(run)
        return None

    def _last_ended(self, fingerprint: str) -> BaseRun | None:
        with self._asking("its last runs"):
            runs = self._jobs.list_runs(job_id=self._job_id, completed_only=True)
            for run in itertools.islice(runs, _LOOK_BACK):
                if _fingerprint(run) == fingerprint:
                    return run
        return None

    def _start(self, request: TrainingRequest) -> int:
        """Start a run, or join the one that another process started for the same inputs."""
        parameters = request.options(experiment=self._experiment, data=self._data_path)
        last = self._last_ended(request.fingerprint)
        previous = _id(last) if last else None
        for _ in range(_MAX_STALE):
            token = _token(self._job_id, request.fingerprint, previous)
            asked = time.time()
            with self._asking("starting a run"):
                started = self._jobs.run_now(
                    self._job_id, idempotency_token=token, job_parameters=parameters
                )
                answer = cast("RunNowResponse", started.response)  # pyright: ignore[reportUnknownMemberType] - untyped in the SDK
                run = self._jobs.get_run(_known(answer.run_id))
            if not (_has_ended(run) and _started(run) < asked - _CLOCK_SECONDS):
                return _id(run)
            # The token was used: Databricks answers with its run, also with one that failed.
            previous = _id(run)
        raise WorkspaceError(
            f"Databricks job {self._job_id} starts no new run: it keeps answering with ones that "
            "have ended; set another text for `retrain`"
        )

    def _wait(self, run_id: int, deadline: float) -> Run:
        watch = _Watch()
        while True:
            run = self._look(run_id)
            watch.see(run)
            if _has_ended(run):
                return run
            left = deadline - time.monotonic()
            if left <= 0:
                raise TrainingError(
                    f"training took longer than allowed and run {run_id} "
                    f"{self._cancel(run_id)}; raise `trainingTimeoutMinutes` or look for what it "
                    f"waits for: {run.run_page_url}"
                )
            time.sleep(min(_POLL_SECONDS, left))

    def _look(self, run_id: int) -> Run:
        """Ask how the run is; a workspace out of reach for a while does not end the wait."""
        lost = time.monotonic() + _OUTAGE_SECONDS
        with self._asking(f"run {run_id} (it goes on: the next `up` waits for it again)"):
            while True:
                try:
                    return self._jobs.get_run(run_id)
                except OSError as error:
                    if not _is_transient(error) or time.monotonic() >= lost:
                        raise
                    say(f"the workspace does not answer ({_reason(error)}); asking again")
                time.sleep(_POLL_SECONDS)

    def _cancel(self, run_id: int) -> str:
        """Cancel the run and see it end, so that the next `up` does not wait for it."""
        try:
            self._jobs.cancel_run(run_id)
            until = time.monotonic() + _CANCEL_SECONDS
            while time.monotonic() < until and not _has_ended(self._jobs.get_run(run_id)):
                time.sleep(_POLL_SECONDS)
        except OSError as error:
            return f"could not be cancelled ({_reason(error)})"
        return "was cancelled"

    def _check(self, run: Run) -> None:
        tasks = _last_attempts(run)
        failed = [task for task in tasks if not _succeeded(task.state)]
        if _succeeded(run.state) and not failed:
            for task in tasks:
                for line in self._last_lines(task):
                    say(line)
            return
        quoted = "".join(f"\n  {line}" for task in failed for line in self._quote(task))
        raise TrainingError(
            f"run {run.run_id} of Databricks job {self._job_id} ended as {_shown(run.state)}"
            f"{quoted}\nThe whole run: {run.run_page_url}"
        )

    def _quote(self, task: RunTask) -> list[str]:
        lines = [f"task {task.task_key} ended as {_shown(task.state)}"]
        return [*lines, *(f"  {line}" for line in self._last_lines(task))]

    def _last_lines(self, task: RunTask) -> list[str]:
        """Return what the task wrote last, and its error; nothing of a task that never ran."""
        try:
            output = self._jobs.get_run_output(_known(task.run_id))
        except OSError:
            return []
        lines = [line.rstrip() for line in (output.logs or "").splitlines() if line.strip()]
        return [*lines[-_KEPT_LINES:], *(output.error or "").splitlines()]

    @contextlib.contextmanager
    def _asking(self, what: str) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise WorkspaceError(
                f"Databricks job {self._job_id}, {what}: {_reason(error)}"
            ) from error


class _Watch:
    """Says what changes about a run, and every so often that nothing did."""

    def __init__(self) -> None:
        self._began = self._spoke = time.monotonic()
        self._last = ""

    def see(self, run: Run) -> None:
        if not self._last:
            say(f"run {run.run_id}: {run.run_page_url}")
        now = _described(run)
        if now != self._last:
            say(now)
        elif time.monotonic() - self._spoke >= _SILENCE_SECONDS:
            say(f"… {now}, for {time.monotonic() - self._began:.0f} s")
        else:
            return
        self._last, self._spoke = now, time.monotonic()


def _described(run: Run) -> str:
    tasks = [f"{task.task_key} {_life_cycle(task.state)}" for task in _last_attempts(run)]
    return f"{_life_cycle(run.state)}" + (f" ({', '.join(tasks)})" if tasks else "")


def _last_attempts(run: Run) -> list[RunTask]:
    """Return each task's last attempt: a task that was repeated is listed once for each."""
    tasks = sorted(
        run.tasks or [], key=lambda task: (task.attempt_number or 0, task.start_time or 0)
    )
    return list({task.task_key: task for task in tasks}.values())


def _fingerprint(run: BaseRun | Run) -> str | None:
    """Return the run's own; "" when it was given none, None when its parameters are not told."""
    if not run.job_parameters:
        return None
    given = {parameter.name: parameter for parameter in run.job_parameters}
    found = given.get("fingerprint")
    return (found.value or found.default or "") if found else ""


def _token(job_id: int, fingerprint: str, previous: int | None) -> str:
    """Return 64 characters, the most that are allowed: the same until another run has ended."""
    return hashlib.sha256(f"{job_id} {fingerprint} {previous}".encode()).hexdigest()


def _has_ended(run: Run) -> bool:
    return run.state is not None and run.state.life_cycle_state in _ENDED


def _succeeded(state: RunState | None) -> bool:
    return state is not None and state.result_state is RunResultState.SUCCESS


def _life_cycle(state: RunState | None) -> str:
    return state.life_cycle_state.value if state and state.life_cycle_state else "UNKNOWN"


def _shown(state: RunState | None) -> str:
    result = state.result_state.value if state and state.result_state else _life_cycle(state)
    message = (state.state_message or "").strip() if state else ""
    return f"{result}: {message}" if message else result


def _is_transient(error: OSError) -> bool:
    """Whether asking again may help: the SDK's errors are OSErrors, as those of the network are."""
    return isinstance(error, _TRANSIENT) or not isinstance(error, DatabricksError)


def _started(run: Run) -> float:
    """Return when the run started, in seconds since the epoch."""
    return (run.start_time or 0) / 1000


def _id(run: BaseRun | Run) -> int:
    return _known(run.run_id)


def _known(run_id: int | None) -> int:
    if run_id is None:
        raise WorkspaceError("Databricks answered without a run's id")
    return run_id


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
