"""The stack `local` on the recording monitor: what its providers would answer."""

import os
import runpy
from typing import Any

from tests.recorder import ROOT, Recorder, record

METRICS = {"cv_roc_auc": 0.83}
EVIDENCE = {"records": 50.0, "max_difference": 0.0}

OUTPUTS: dict[str, dict[str, Any]] = {
    "TrainingRun": {"version": "3", "bundle_sha256": "b3", "metrics": METRICS},
    "ReleaseGate": {"bundle_sha256": "b3", "metrics": METRICS},
    "ApiKey": {
        "key": "the-key-itself",
        "sha256": "hash-of-the-key",
        "accepted_sha256": "hash-of-the-key",
    },
    "ApiProcess": {
        "instance": "i-1",
        "pid": 4711.0,
        "private_url": "http://127.0.0.1:1111",
        "release_dir": ".local/releases/i-1",
    },
    "SmokeTest": {"evidence": EVIDENCE},
    "ReleaseFiles": {"release_dir": ".local/releases/3-b3"},
    "image-build": {"digest": "sha256:d"},
    "image-loaded": {"imageId": "sha256:i"},
    "candidate-container": {"ports": [{"internal": 8080, "external": 32768, "ip": "127.0.0.1"}]},
    "api-container": {"ports": [{"internal": 8080, "external": 8010, "ip": "127.0.0.1"}]},
    "TrafficSwitch": {"url": "http://127.0.0.1:8000"},
    "ModelStage": {},
}
"""What the providers would add to their inputs, by resource type."""


def run(config: dict[str, str], *, stack_name: str = "local", unknown: bool = False) -> Recorder:
    """Run `__main__.py` in the current folder and return what it registered."""

    def main() -> None:
        runpy.run_path(os.fspath(ROOT / "__main__.py"), run_name="__main__")

    recorder = Recorder(made=OUTPUTS, unknown=unknown)
    return record(main, recorder, config=config, stack_name=stack_name)
