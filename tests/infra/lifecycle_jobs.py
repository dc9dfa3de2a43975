"""A stand-in for the jobs API: it answers as Databricks documents it, in states made to measure."""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from databricks.sdk.errors import ResourceDoesNotExist
from databricks.sdk.service.jobs import (
    JobParameter,
    Run,
    RunLifeCycleState,
    RunOutput,
    RunResultState,
    RunState,
    RunTask,
)

JOB = 7
FIRST_RUN = 101


def state(life_cycle: str, result: str = "", message: str = "") -> RunState:
    return RunState(
        life_cycle_state=RunLifeCycleState(life_cycle),
        result_state=RunResultState(result) if result else None,
        state_message=message,
    )


PENDING, RUNNING = state("PENDING"), state("RUNNING")
DONE = state("TERMINATED", "SUCCESS")
FAILED = state("TERMINATED", "FAILED", "Task training failed")


def task(at: RunState, *, key: str = "training", attempt: int = 0, run_id: int = 900) -> RunTask:
    return RunTask(task_key=key, run_id=run_id, attempt_number=attempt, state=at)


def moment(at: RunState, *tasks: RunTask) -> Run:
    """What the API says of a run at one time; with one task in the same state unless given."""
    return Run(state=at, tasks=list(tasks or (task(at),)))


@dataclass
class FakeRun:
    """A run: each look at it takes the next moment, an exception being raised; the last stays."""

    moments: Sequence[Run | Exception]
    parameters: dict[str, str]
    token: str = ""
    started: float = field(default_factory=time.time)
    looks: int = 0

    def look(self) -> Run:
        now = self.moments[min(self.looks, len(self.moments) - 1)]
        self.looks += 1
        if isinstance(now, Exception):
            raise now
        return now


class FakeJobs:
    """The part of `WorkspaceClient.jobs` that training uses.

    `script` are the moments of each run to be started, in turn. `tells` says whether runs come with
    their parameters, `lists` whether completed runs are listed.
    """

    def __init__(self, *script: Sequence[Run | Exception]) -> None:
        self.script = list(script)
        self.runs: dict[int, FakeRun] = {}
        self.outputs: dict[int, RunOutput | Exception] = {}
        self.cancelled: list[int] = []
        self.tells = True
        self.lists = True

    def add(self, moments: Sequence[Run | Exception], fingerprint: str, **changes: Any) -> int:
        """Put a run there that somebody else started."""
        run_id = FIRST_RUN + len(self.runs)
        run = FakeRun(moments=moments, parameters={"fingerprint": fingerprint}, **changes)
        self.runs[run_id] = run
        return run_id

    def run_now(
        self, job_id: int, *, idempotency_token: str, job_parameters: dict[str, str]
    ) -> Any:
        assert job_id == JOB
        assert len(idempotency_token) <= 64
        for run_id, run in self.runs.items():
            if run.token == idempotency_token:
                return _answer(run_id)
        run_id = FIRST_RUN + len(self.runs)
        self.runs[run_id] = FakeRun(
            moments=self.script.pop(0), parameters=job_parameters, token=idempotency_token
        )
        return _answer(run_id)

    def get_run(self, run_id: int) -> Run:
        return self._told(run_id, self.runs[run_id].look())

    def list_runs(
        self, *, job_id: int, active_only: bool = False, completed_only: bool = False
    ) -> Iterator[Run]:
        assert job_id == JOB
        assert active_only is not completed_only
        for run_id in sorted(self.runs, reverse=True):
            now = self._now(run_id)
            assert now.state is not None
            has_ended = now.state.life_cycle_state in (DONE.life_cycle_state, SKIPPED, ERROR)
            if has_ended is completed_only and (active_only or self.lists):
                yield self._told(run_id, now)

    def get_run_output(self, run_id: int) -> RunOutput:
        output = self.outputs.get(run_id, ResourceDoesNotExist("no output"))
        if isinstance(output, Exception):
            raise output
        return output

    def cancel_run(self, run_id: int) -> None:
        self.cancelled.append(run_id)
        self.runs[run_id].moments = [moment(state("TERMINATED", "CANCELED"))]

    def _now(self, run_id: int) -> Run:
        run = self.runs[run_id]
        rest = itertools.islice(run.moments, min(run.looks, len(run.moments) - 1), None)
        return next(now for now in rest if isinstance(now, Run))

    def _told(self, run_id: int, now: Run) -> Run:
        run = self.runs[run_id]
        parameters = [
            JobParameter(name=name, value=value, default="")
            for name, value in run.parameters.items()
        ]
        return Run(
            run_id=run_id,
            state=now.state,
            tasks=now.tasks,
            start_time=int(1000 * run.started),
            run_page_url=f"https://workspace/run/{run_id}",
            job_parameters=parameters if self.tells else None,
        )


SKIPPED, ERROR = RunLifeCycleState.SKIPPED, RunLifeCycleState.INTERNAL_ERROR


def _answer(run_id: int) -> Any:
    return SimpleNamespace(response=SimpleNamespace(run_id=run_id))
