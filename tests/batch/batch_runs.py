"""Start the batch job as a Databricks job does: from elsewhere, the code on the driver's path."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

# What the job's entry file does, in one line: the root on sys.path of this process, and of no
# other; -I keeps the working directory and PYTHONPATH out as well.
_ENTRY = """
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""

_SPARK = {
    "spark.master": "local[2]",
    "spark.driver.memory": "2g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # Two processors are better used by the workers than by a concurrent collector and a compiler.
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished run of the job."""

    code: int
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self.stdout.splitlines()[-1])


def spark_environment(folder: Path, java: str) -> dict[str, str]:
    """Write Spark's settings below `folder`; return the environment that makes Spark read them."""
    conf = folder / "conf"
    conf.mkdir(parents=True, exist_ok=True)
    settings = {**_SPARK, "spark.sql.warehouse.dir": str(folder / "warehouse")}
    lines = [f"{name} {value}\n" for name, value in settings.items()]
    (conf / "spark-defaults.conf").write_text("".join(lines))
    return {
        "JAVA_HOME": java,
        "SPARK_CONF_DIR": str(conf),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run_job(folder: Path, java: str, *arguments: str) -> Outcome:
    """Run `python -m batch` with the working directory `folder`, and wait for its end."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    done = subprocess.run(
        [sys.executable, "-I", "-c", _ENTRY, str(ROOT), "batch", *arguments],
        cwd=folder,
        env={**kept, **spark_environment(folder, java)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def train(folder: Path, name: str) -> str:
    """Train one real release into a registry below `folder`; return the registry's URI."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    arguments = [
        *("--tracking-uri", uri, "--artifacts", str(folder / "artifacts"), "--model-name", name),
        *("--fingerprint", "f0" * 32, "--code-sha256", "c0" * 32),
        # The fewest that are allowed: nobody looks at the figures here.
        *("--parameters", json.dumps({"cv_folds": 2, "cv_repeats": 2})),
    ]
    command = [sys.executable, "-m", "training", *arguments]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return uri
