"""The smoke test: the API must answer a release's reference records as training did."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from infra.lifecycle.errors import SmokeTestError

__all__ = ["SmokeTest", "SmokeTestArgs", "SmokeTestProvider"]

_TIMEOUT_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class SmokeTestArgs:
    """Which API to test, with which release's reference records.

    `instance` and `pid` name the process: another one, or the same started again, is tested again.
    """

    url: pulumi.Input[str]
    release_dir: pulumi.Input[str]
    version: pulumi.Input[str]
    instance: pulumi.Input[str]
    pid: pulumi.Input[int]
    api_key: pulumi.Input[str]


_TESTED = ("url", "version", "instance", "pid")


class SmokeTestProvider(ResourceProvider):
    """Runs `python -m app.smoke`, the same code that runs as a Job in a cluster."""

    serialize_as_secret_always = False

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Test again what was not tested yet."""
        return DiffResult(changes=any(olds[key] != news[key] for key in _TESTED))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Replay the reference records over HTTP.

        Raises:
            SmokeTestError: an answer differs from training's by more than the release's tolerance,
                or the API does not answer.
        """
        return CreateResult(id_="smoke-test", outs=_replay(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Replay them again, as `create` does."""
        return UpdateResult(outs=_replay(news))


def _replay(props: dict[str, Any]) -> dict[str, Any]:
    try:
        result = subprocess.run(  # noqa: S603 - our own interpreter and module; no shell
            [
                sys.executable,
                "-m",
                "app.smoke",
                f"--url={props['url']}",
                f"--bundle={props['release_dir']}",
            ],
            env={**os.environ, "API_KEY": props["api_key"]},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SmokeTestError(
            f"smoke test of release {props['version']} took over {_TIMEOUT_SECONDS} s"
        ) from error
    if result.returncode != 0:
        raise SmokeTestError(
            f"release {props['version']} fails its smoke test, and what served before serves on:\n"
            f"  {result.stderr.strip() or result.stdout.strip()}"
        )
    return {**props, "evidence": json.loads(result.stdout)}


class SmokeTest(Resource, module="lifecycle", name="SmokeTest"):
    """A passed smoke test; `evidence` has the number of records and the largest difference."""

    evidence: pulumi.Output[dict[str, Any]]

    def __init__(
        self, name: str, args: SmokeTestArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(SmokeTestProvider(), name, {**vars(args), "evidence": None}, opts)
