"""The gate before a stage: nothing is deployed of a release whose figures do not reach it.

A resource, not a hook: when its creation fails, the next `up` judges again, where a failed hook
would be skipped.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckResult,
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from infra.lifecycle.errors import GateError, RegistryError
from infra.lifecycle.gates import Gate, Verdict, judge
from infra.lifecycle.registry import Registry, Release

__all__ = ["ReleaseGate", "ReleaseGateArgs", "ReleaseGateProvider"]


@dataclass(frozen=True, kw_only=True)
class ReleaseGateArgs:
    """Which release would reach which stage, and the gates in between.

    `pinned` says that a person chose this version by config (a rollback): the gates' absolute
    bounds are still judged, a comparison with the release it replaces is not.
    """

    model_name: str
    tracking_uri: pulumi.Input[str]
    stage: str
    version: pulumi.Input[str]
    pinned: bool
    gates: Sequence[Gate]


_JUDGED_BY = ("model_name", "tracking_uri", "stage", "version", "pinned", "gates")


class ReleaseGateProvider(ResourceProvider):
    """Judges a release's registered figures."""

    serialize_as_secret_always = False

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Add the release's figures and the verdicts, so that a preview shows them.

        What was judged before is not judged again: a release's figures never change.
        """
        if not all(isinstance(news[key], str) for key in ("version", "tracking_uri")):
            return CheckResult(news, [])
        if _same(olds, news):
            return CheckResult({**news, "verdicts": olds["verdicts"]}, [])
        try:
            _, verdicts = _judge(news)
        except RegistryError:
            # A preview with no registry at hand shows the rest; create asks again, and says why.
            return CheckResult(news, [])
        return CheckResult({**news, "verdicts": [verdict.text for verdict in verdicts]}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Judge again when the release, the stage or the gates differ."""
        return DiffResult(changes=not _same(olds, news))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Let the release pass, or say which gate it fails.

        Raises:
            GateError: a gate does not hold; the message has the figure and the bound.
            RegistryError: the registry does not answer or has no such version.
        """
        return CreateResult(id_=f"{props['model_name']}@{props['stage']}", outs=_pass(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Judge the new release by the new gates, as `create` does."""
        return UpdateResult(outs=_pass(news))


def _same(olds: dict[str, Any], news: dict[str, Any]) -> bool:
    return bool(olds) and all(olds.get(key) == news[key] for key in _JUDGED_BY)


def _judge(props: dict[str, Any]) -> tuple[Release, list[Verdict]]:
    registry = Registry(props["tracking_uri"], props["model_name"])
    release = registry.release(props["version"])
    current = None if props["pinned"] else registry.at_stage(props["stage"])
    gates = [Gate(**gate) for gate in props["gates"]]
    return release, judge(gates, release.metrics, current.metrics if current else None)


def _pass(props: dict[str, Any]) -> dict[str, Any]:
    release, verdicts = _judge(props)
    if not all(verdict.holds for verdict in verdicts):
        failed = "\n  ".join(verdict.text for verdict in verdicts if not verdict.holds)
        raise GateError(
            f"release {release.version} of {props['model_name']!r} does not reach the stage "
            f"{props['stage']!r}, which keeps what it has:\n  {failed}\n"
            "Train a better release, pin one with `releaseVersion`, or change `gates`."
        )
    texts = [verdict.text for verdict in verdicts]
    return {
        **props,
        "verdicts": texts,
        "bundle_sha256": release.bundle_sha256,
        "metrics": release.metrics,
    }


class ReleaseGate(Resource, module="lifecycle", name="ReleaseGate"):
    """A release that has passed a stage's gates."""

    version: pulumi.Output[str]
    bundle_sha256: pulumi.Output[str]
    metrics: pulumi.Output[dict[str, float]]

    def __init__(
        self, name: str, args: ReleaseGateArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        props = {
            "model_name": args.model_name,
            "tracking_uri": args.tracking_uri,
            "stage": args.stage,
            "version": args.version,
            "pinned": args.pinned,
            "gates": [_bounds(gate) for gate in args.gates],
            **dict.fromkeys(("verdicts", "bundle_sha256", "metrics")),
        }
        super().__init__(ReleaseGateProvider(), name, props, opts)


def _bounds(gate: Gate) -> dict[str, Any]:
    """Store only the bounds that are set: an unset one would vanish on the way to the engine."""
    return {key: value for key, value in asdict(gate).items() if value is not None}
