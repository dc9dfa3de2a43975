"""minilake as a Databricks workspace that has the code and the job which `infra` makes.

Two things differ from Databricks. minilake runs a task only on a cluster of its own, and it appends
job parameters to the arguments instead of putting them in their places: a small file beside the
uploaded code does that, and then runs the very file that the job names.
"""

import base64
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pulumi
import pulumi_databricks as dbx
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.compute import ClusterSpec
from databricks.sdk.service.jobs import Run, SparkPythonTask, Task
from databricks.sdk.service.workspace import ImportFormat

from contract.fingerprint import TRAINING_CODE
from infra.jobs import TrainingJob, TrainingJobArgs
from infra.workspace_code import WorkspaceCode, WorkspaceCodeArgs
from tests.lifecycle.workspace import free_port
from tests.recorder import Recorder, record

TOKEN = "throw-away"
_START_SECONDS = 60
_MOUNT = "/Workspace"

_FILL_IN = """\
import re, runpy, sys
from pathlib import Path

code = Path(__file__).parent
end = sys.argv.index("--")
values = dict(argument.split("=", 1) for argument in sys.argv[end + 1 :])
_, *rest = sys.argv[1:end]
name = r"\\{\\{job\\.parameters\\.(\\w+)\\}\\}"
rest = [re.sub(name, lambda found: values[found[1]], argument) for argument in rest]
sys.argv[1:] = [str(code), *rest]
runpy.run_path(str(code / "run_module.py"), run_name="__main__")
"""


class Workspace:
    """A minilake process; `folder` holds its data and its log, and is where tasks start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        port = free_port()
        self.host = f"http://127.0.0.1:{port}"
        folder.mkdir()
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "minilake", "--host", "127.0.0.1", "--port", str(port)],
                cwd=folder,
                env={
                    "HOME": str(folder),
                    # Tasks run by the name python3.
                    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                    "MINILAKE_DATA_DIR": str(folder / "data"),
                    "MINILAKE_JOB_EXECUTOR": "subprocess",
                    "MINILAKE_NOTEBOOK": "0",
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.client = self._open()

    def _open(self) -> WorkspaceClient:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                # Asked by hand: the SDK would wait in silence for a host that is not there yet.
                urllib.request.urlopen(f"{self.host}/api/2.2/jobs/list").close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text()) from None
                time.sleep(0.1)
            else:
                return WorkspaceClient(host=self.host, token=TOKEN, auth_type="pat")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def runs(self, job_id: int) -> list[Run]:
        """The job's runs, the oldest first."""
        listed = self.client.jobs.list_runs(job_id=job_id)
        return [self.client.jobs.get_run(run) for run in sorted(r.run_id or 0 for r in listed)]

    def create_training_job(self) -> int:
        """Upload the code and create the job as the stack `shared` does; return its number."""
        made = _made_by_infra()
        for file in made.of_type("WorkspaceFile"):
            self.client.workspace.import_(
                f"{_MOUNT}{file.inputs['path']}",
                content=file.inputs["contentBase64"],
                format=ImportFormat.AUTO,
                overwrite=True,
            )
        job: dict[str, Any] = made["training-job"].inputs
        (task,) = job["tasks"]
        python: dict[str, Any] = task["sparkPythonTask"]
        assert python["pythonFile"].endswith("/run_module.py")
        fill_in = python["pythonFile"].replace("run_module.py", "fill_in.py")
        self._import(fill_in, _FILL_IN)
        defaults = [f"{each['name']}={each['default']}" for each in job["parameters"]]
        created = self.client.jobs.create(
            name=job["name"],
            tasks=[
                Task(
                    task_key=task["taskKey"],
                    new_cluster=ClusterSpec(),
                    spark_python_task=SparkPythonTask(
                        python_file=fill_in, parameters=[*python["parameters"], "--", *defaults]
                    ),
                )
            ],
        )
        assert created.job_id is not None
        return created.job_id

    def _import(self, path: str, text: str) -> None:
        content = base64.b64encode(text.encode()).decode()
        self.client.workspace.import_(
            path, content=content, format=ImportFormat.AUTO, overwrite=True
        )


def _made_by_infra() -> Recorder:
    def program() -> None:
        provider = dbx.Provider("inside", dbx.ProviderArgs(host="https://nowhere"))
        opts = pulumi.ResourceOptions(providers=[provider])
        code = WorkspaceCode(
            "code", WorkspaceCodeArgs(packages=TRAINING_CODE, root="/Shared/hr/code"), opts=opts
        )
        TrainingJob(
            "training",
            TrainingJobArgs(
                job_name="training",
                code_root=code.root,
                requirements=[],
                cluster=None,
                timeout_minutes=10,
                failure_emails=(),
                run_as="",
                readers=(),
                operators=(),
                tags={},
                defaults={},
                schedule="",
            ),
            opts=opts,
        )

    return record(program)
