"""Fetch one release from the model registry into a folder, and verify it: a build stage's only job.

    python fetch_release.py FOLDER

environment:
  MODEL_NAME, RELEASE_VERSION   which release
  RELEASE_SHA256                sha-256 of the bundle's manifest, as the registry's tag has it
  TRACKING_URI, REGISTRY_URI    `databricks` and `databricks-uc`, or another MLflow server's
  DATABRICKS_HOST               where an URI says databricks

The token is the BuildKit secret `databricks_token`, a file that no layer keeps.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from contract.release import BUNDLE_PATH, ReleaseError, verify

__all__ = ["main"]

_SECRET = Path("/run/secrets/databricks_token")


def main() -> int:
    """Fetch into the folder that the first argument names; return the exit code."""
    target = Path(sys.argv[1])
    if _SECRET.exists():
        os.environ["DATABRICKS_TOKEN"] = _SECRET.read_text().strip()
    # After the token is in place; and the import takes seconds.
    import mlflow
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    model, version = os.environ["MODEL_NAME"], os.environ["RELEASE_VERSION"]
    # Not as arguments of the download: for `models:` addresses it asks the default registry then
    # (MLflow 3.17).
    mlflow.set_tracking_uri(os.environ["TRACKING_URI"])
    mlflow.set_registry_uri(os.environ["REGISTRY_URI"])
    try:
        with tempfile.TemporaryDirectory() as folder:
            bundle = download_artifacts(
                artifact_uri=f"models:/{model}/{version}/{BUNDLE_PATH}",
                dst_path=folder,
            )
            verify(Path(bundle), os.environ["RELEASE_SHA256"])
            shutil.copytree(bundle, target)
    except (MlflowException, ReleaseError, OSError) as error:
        sys.stderr.write(f"error: release {version} of {model!r}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
