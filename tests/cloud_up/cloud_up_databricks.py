"""A stand-in for Databricks: workspace files and jobs are minilake's, volumes are folders.

minilake runs a job's Python file but puts nothing in place of `{{job.parameters.x}}`, and hands
job parameters over as further arguments `x=value`. So each task gets a small program that does what
Databricks would: fill in the parameters, then run the task's own file with its own arguments.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cloud_up_ledger import Ledger, Thing
from cloud_up_provider import RefusedError, StandIn

from tests.lifecycle.workspace import free_port

_START_SECONDS = 60

_TASK = '''\
"""Runs a task as Databricks would: its own file, with job parameters in place of their names."""
import json, os, re, sys

TASK = json.loads({task!r})
values = {{**TASK["defaults"], **dict(argument.split("=", 1) for argument in sys.argv[1:])}}

def filled(text):
    name = r"\\{{\\{{job\\.parameters\\.(\\w+)\\}}\\}}"
    text = re.sub(name, lambda found: values[found[1]], text)
    return TASK["root"] + text if text.startswith("/Workspace/") else text

arguments = [filled(text) for text in (TASK["file"], *TASK["parameters"])]
os.execv(sys.executable, [sys.executable, *arguments])
'''


class Minilake:
    """A minilake process of its own, over HTTPS as workspaces are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "data" / "certs" / "minilake.crt"
        self._http, self._https = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where the workspace answers: host and port, without a scheme."""
        return f"127.0.0.1:{self._https}"

    @property
    def files(self) -> Path:
        """The folder that holds the workspace's files."""
        return self.folder / "data" / "workspace"

    def start(self) -> None:
        (self.folder / "data").mkdir(parents=True)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "minilake", "--tls", "--host", "127.0.0.1"),
                    *("--port", str(self._http), "--https-port", str(self._https)),
                ],
                cwd=self.folder,
                env={
                    **os.environ,
                    "PATH": path,
                    "MINILAKE_DATA_DIR": str(self.folder / "data"),
                    "MINILAKE_JOB_EXECUTOR": "subprocess",
                    "MINILAKE_NOTEBOOK": "0",
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.folder / "log").read_text())
            time.sleep(0.1)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._http}{path}",
            data=json.dumps(content).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise RefusedError(f"{path}: {error.read().decode()}") from error

    def runs(self) -> list[dict[str, Any]]:
        """List the runs of every job, the newest last."""
        url = f"http://127.0.0.1:{self._http}/api/2.2/jobs/runs/list"
        with urllib.request.urlopen(url, timeout=60) as response:
            return sorted(json.load(response)["runs"], key=lambda run: run["run_id"])

    def _answers(self) -> bool:
        try:
            self.runs()
        except OSError:
            return False
        return self.certificate.exists()


class Databricks(StandIn):
    """Answers for the provider `databricks`; `project` is the folder that `source` starts from."""

    package = "pulumi_databricks"

    def __init__(self, ledger: Ledger, minilake: Minilake, *, project: Path, volumes: Path) -> None:
        super().__init__(ledger)
        self._minilake = minilake
        self._project = project
        self._volumes = volumes

    def checked(self, thing: Thing, old: dict[str, Any], seed: bytes) -> dict[str, Any]:
        """Hash a local file, so that another content is a change, as the provider does."""
        if source := thing.inputs.get("source"):
            file = self._project / source
            if not file.is_file():
                raise RefusedError(f"{thing.kind} {thing.name}: there is no file {file}")
            return {**thing.inputs, "md5": hashlib.sha256(file.read_bytes()).hexdigest()}
        return thing.inputs

    def replacing(self, thing: Thing, old: Thing, changed: Sequence[str]) -> list[str]:
        free = {
            "Job": changed,
            "WorkspaceFile": [path for path in changed if path != "path"],
            "File": [path for path in changed if path != "path"],
        }
        fallback = [
            path
            for path in changed
            if path.startswith(("privileges", "accessControls", "comment", "tags", "displayName"))
        ]
        return [path for path in changed if path not in free.get(thing.kind, fallback)]

    def identify(self, thing: Thing) -> str:
        inputs = thing.inputs
        match thing.kind:
            case "Job":
                answer = self._minilake.post("/api/2.2/jobs/create", {"name": inputs["name"]})
                return str(answer["job_id"])
            case "WorkspaceFile" | "Directory" | "File":
                return inputs["path"]
            case _:
                parts = [inputs.get(key) for key in ("catalogName", "schemaName", "name")]
                named = ".".join(str(part) for part in parts if part)
                return named or f"{thing.name}/{len(self.ledger.events())}"

    def make(self, thing: Thing) -> dict[str, Any]:
        inputs, host = thing.inputs, f"https://{self._minilake.address}"
        match thing.kind:
            case "WorkspaceFile":
                self._import(inputs["path"], self._content(thing))
                return {"workspacePath": _workspace(inputs["path"]), "url": host, "objectId": 1}
            case "Directory":
                path = _workspace(inputs["path"])
                self._minilake.post("/api/2.0/workspace/mkdirs", {"path": path})
                return {"workspacePath": path, "objectId": 1}
            case "Volume":
                folder = self._volumes / thing.id.replace(".", "/")
                folder.mkdir(parents=True, exist_ok=True)
                return {"volumePath": str(folder)}
            case "File":
                file = Path(inputs["path"])
                if not file.parent.is_dir():
                    raise RefusedError(f"there is no volume {file.parent}")
                file.write_bytes(self._content(thing))
                return {"remoteFileModified": False, "fileSize": file.stat().st_size}
            case "Job":
                settings = {"name": inputs["name"], "tasks": self._tasks(thing)}
                body = {"job_id": int(thing.id), "new_settings": settings}
                self._minilake.post("/api/2.2/jobs/reset", body)
                return {"url": f"{host}/#job/{thing.id}"}
            case _:
                return {}

    def unmake(self, thing: Thing) -> None:
        match thing.kind:
            case "WorkspaceFile":
                path = {"path": _workspace(thing.id)}
                self._minilake.post("/api/2.0/workspace/delete", path)
            case "Directory":
                body = {"path": _workspace(thing.id), "recursive": True}
                self._minilake.post("/api/2.0/workspace/delete", body)
            case "File":
                Path(thing.id).unlink()
            case "Volume":
                shutil.rmtree(thing.outputs["volumePath"])
            case "Job":
                self._minilake.post("/api/2.2/jobs/delete", {"job_id": int(thing.id)})
                for task in thing.inputs["tasks"]:
                    path = {"path": _program(thing.id, task)}
                    self._minilake.post("/api/2.0/workspace/delete", path)
            case _:
                pass

    def _content(self, thing: Thing) -> bytes:
        if source := thing.inputs.get("source"):
            return (self._project / source).read_bytes()
        return base64.b64decode(thing.inputs["contentBase64"])

    def _import(self, path: str, content: bytes) -> None:
        body = {
            "path": _workspace(path),
            "content": base64.b64encode(content).decode(),
            "format": "AUTO",
            "overwrite": True,
        }
        self._minilake.post("/api/2.0/workspace/import", body)

    def _tasks(self, thing: Thing) -> list[dict[str, Any]]:
        defaults = {each["name"]: each["default"] for each in thing.inputs.get("parameters", [])}
        return [self._task(thing, task, defaults) for task in thing.inputs["tasks"]]

    def _task(self, thing: Thing, task: dict[str, Any], defaults: dict[str, str]) -> dict[str, Any]:
        python = task["sparkPythonTask"]
        program = _TASK.format(
            task=json.dumps(
                {
                    "root": str(self._minilake.files),
                    "file": python["pythonFile"],
                    "parameters": python.get("parameters", []),
                    "defaults": defaults,
                }
            )
        )
        path = _program(thing.id, task)
        self._import(path, program.encode())
        return {
            "task_key": task["taskKey"],
            "spark_python_task": {"python_file": path},
            "depends_on": [{"task_key": on["taskKey"]} for on in task.get("dependsOns", [])],
            "new_cluster": {},
        }


def _program(job: str, task: dict[str, Any]) -> str:
    """Name the small program that runs a job's task."""
    return f"/Workspace/stand-in/{job}-{task['taskKey']}.py"


def _workspace(path: str) -> str:
    """Return the path under /Workspace, which is another name of the same place."""
    return path if path.startswith("/Workspace/") else f"/Workspace{path}"
