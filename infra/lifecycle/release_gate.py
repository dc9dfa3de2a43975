"""The gate before a stage: nothing is deployed of a release whose figures do not reach it.

A resource, not a hook: when its creation fails, the next `up` judges again, where a failed hook
would be skipped. A stage that promotes takes what another stage proved, and nothing else: here the
release is chosen, its proof is asked for, and the image that was proven is handed on.

A preview judges by the release's tag; the update fetches the evidence that the release was sealed
with, refuses a tag that says something else, and judges by all of its figures.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    Resource,
    UpdateResult,
)
from pulumi.output import contains_unknowns

from contract.release import TAG_PROVEN, ReleaseError
from infra.lifecycle.databricks import CredentialProvider
from infra.lifecycle.errors import GateError, NoSuchReleaseError, RegistryError
from infra.lifecycle.evidence import sealed_figures
from infra.lifecycle.gates import Gate, Verdict, judge
from infra.lifecycle.registry import Registry, RegistryAddress, Release

__all__ = ["ReleaseGate", "ReleaseGateArgs", "ReleaseGateProvider"]


@dataclass(frozen=True, kw_only=True)
class ReleaseGateArgs:
    """Which release would reach which stage, and the gates in between.

    `promote_from` is the stage that must have proven the release, with an image by digest, or empty
    where a release comes from training. The image has to be of the container registry
    `image_server`, if one is named: a proof is a tag, and who may tag may not choose from where a
    cluster pulls. An empty `version` means the one that `promote_from` has.
    `pinned` says that a person chose this version by config (a rollback): the gates' absolute
    bounds are still judged, a comparison with another release is not, and a proof of the stage
    itself counts as well. `compared_with` is the stage whose release the comparing gates look at.
    """

    registry: RegistryAddress
    stage: str
    version: pulumi.Input[str]
    promote_from: str
    image_server: pulumi.Input[str] = ""
    pinned: bool
    compared_with: str
    gates: Sequence[Gate]


_ASKED = (
    *("registry", "stage", "promote_from", "image_server", "pinned", "compared_with", "gates"),
)
_FOUND = ("version", "bundle_sha256", "metrics", "image", "verdicts")
_IMAGE = re.compile(r"(?P<server>[^\s@/]+)/[^\s@]+@sha256:[0-9a-f]{64}")
"""Server, repository and digest: what a cluster pulls, and nobody can change."""


@dataclass(frozen=True, kw_only=True)
class _Judgement:
    """What is known of the release; `refusal` says why it may not even be judged, or is empty."""

    release: Release | None
    image: str
    refusal: str
    verdicts: list[Verdict]

    def props(self) -> dict[str, Any]:
        """Name what was found as the resource does; without a release, the refusal alone."""
        texts = [verdict.text for verdict in self.verdicts]
        if self.refusal:
            texts.insert(0, self.refusal)
        if self.release is None:
            return {"verdicts": texts}
        return {
            "version": self.release.version,
            "bundle_sha256": self.release.bundle_sha256,
            "metrics": self.release.metrics,
            "image": self.image,
            "verdicts": texts,
        }


class ReleaseGateProvider(CredentialProvider):
    """Judges a release's figures, and its proof."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Add the release, its figures and the verdicts, so that a preview shows them.

        What was judged before is not judged again: the figures that a release was sealed with never
        change. Which release a stage has does, so that one is always asked for. A version that is
        not there is refused here: a mistyped `releaseVersion` is no plan to approve. A registry
        without any is not refused, as the same `up` may be about to fill it.
        """
        if contains_unknowns(news):
            return CheckResult(news, [])
        if news.get("version") and _same(olds, news, (*_ASKED, "version")):
            return CheckResult({**news, **_found(olds)}, [])
        try:
            inputs = {**news, **_judge(self._registry(news), news, sealed=False).props()}
        except NoSuchReleaseError as error:
            return CheckResult(news, [CheckFailure("version", str(error))])
        except RegistryError:
            # A preview with no registry at hand shows the rest; create asks again, and says why.
            return CheckResult(news, [])
        if _same(olds, inputs, (*_ASKED, "version", "image")):
            inputs.update(_found(olds))
        return CheckResult(inputs, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Judge again when the release, its image, the stage or the gates differ."""
        return DiffResult(changes=not _same(olds, news, (*_ASKED, "version", "image")))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Let the release pass, or say what it fails.

        Raises:
            GateError: a gate does not hold (the message has the figure and the bound), the stage to
                promote from has not proven the release (it says how to), or the release is not what
                was sealed (it has the file, or the figure and both numbers).
            RegistryError: the registry does not answer, or has no such version or no files of it.
        """
        id_ = f"{props['registry']['model_name']}@{props['stage']}"
        return CreateResult(id_=id_, outs=self._pass(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Judge the new release by the new gates, as `create` does."""
        return UpdateResult(outs=self._pass(news))

    def _registry(self, props: Mapping[str, Any]) -> Registry:
        return Registry(props["registry"], self.credentials)

    def _pass(self, props: dict[str, Any]) -> dict[str, Any]:
        judgement = _judge(self._registry(props), props, sealed=True)
        if judgement.refusal:
            raise GateError(judgement.refusal)
        outs = {**props, **judgement.props()}
        if not all(verdict.holds for verdict in judgement.verdicts):
            failed = "\n  ".join(v.text for v in judgement.verdicts if not v.holds)
            raise GateError(
                f"release {outs['version']} of {props['registry']['model_name']!r} does not reach "
                f"the stage {props['stage']!r}, which keeps what it has:\n  {failed}\n"
                "Train a better release, pin one with `releaseVersion`, or change `gates`."
            )
        return outs


def _same(olds: Mapping[str, Any], news: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """Whether what was judged before is what would be judged now."""
    return all(key in olds for key in _FOUND) and all(olds.get(k) == news.get(k) for k in keys)


def _found(olds: Mapping[str, Any]) -> dict[str, Any]:
    return {key: olds[key] for key in _FOUND}


def _judge(registry: Registry, props: Mapping[str, Any], *, sealed: bool) -> _Judgement:
    """Find the release and judge it, by its evidence (`sealed`) or by its tag alone."""
    release = _candidate(registry, props)
    if release is None:
        before = props["promote_from"]
        refusal = f"{before} has proven nothing yet: run `pulumi up -s {before}` first"
        return _Judgement(release=None, image="", refusal=refusal, verdicts=[])
    image = _image(registry, props, release.version)
    refusal = "" if image or not props["promote_from"] else _unproven(props, release.version)
    if refusal and sealed:
        return _Judgement(release=release, image=image, refusal=refusal, verdicts=[])
    figures = _sealed(registry, props, release) if sealed else release.metrics
    current = None if props["pinned"] else registry.at_stage(props["compared_with"])
    gates = [Gate(**gate) for gate in props["gates"]]
    against = current.metrics if current else None
    verdicts = judge(gates, figures, against, partial=not sealed)
    return _Judgement(release=release, image=image, refusal=refusal, verdicts=verdicts)


def _sealed(registry: Registry, props: Mapping[str, Any], release: Release) -> dict[str, float]:
    try:
        return sealed_figures(registry, release)
    except ReleaseError as error:
        raise GateError(
            f"release {release.version} in the registry, model {props['registry']['model_name']!r},"
            f" does not reach the stage {props['stage']!r}, which keeps what it has:\n  {error}\n"
            "Restore the tag or the file that was changed, set `retrain` to train again, or choose "
            "another release with `releaseVersion`."
        ) from error


def _candidate(registry: Registry, props: Mapping[str, Any]) -> Release | None:
    """Find the release: the given one, else what the stage before has.

    Where the stage before was destroyed, what it promoted stays promoted.
    """
    if props.get("version"):
        return registry.release(props["version"])
    return registry.at_stage(props["promote_from"]) or registry.at_stage(props["stage"])


def _image(registry: Registry, props: Mapping[str, Any], version: str) -> str:
    """Find the image that was proven; a pinned release comes back with the stage's own."""
    for stage in _provers(props):
        image = str(registry.proof(version, stage).get("image", ""))
        found = _IMAGE.fullmatch(image)
        if found and props["image_server"] in ("", found["server"]):
            return image
    return ""


def _provers(props: Mapping[str, Any]) -> list[str]:
    own = [props["stage"]] if props["pinned"] else []
    return [*own, *filter(None, [props["promote_from"]])]


def _unproven(props: Mapping[str, Any], version: str) -> str:
    before, tags = props["promote_from"], (f"`{TAG_PROVEN}{stage}`" for stage in _provers(props))
    image = f"image of {server}" if (server := props["image_server"]) else "image"
    return (
        f"release {version} of {props['registry']['model_name']!r} may not reach the stage "
        f"{props['stage']!r}: it has no {' or '.join(tags)} with an {image} by digest. Have "
        f"{before} prove it (`pulumi config set releaseVersion {version} -s {before}`, then "
        f"`pulumi up -s {before}`), or choose a release that was proven"
    )


class ReleaseGate(Resource, module="lifecycle", name="ReleaseGate"):
    """A release that has passed a stage's gates.

    `image` is what was proven, `server/repository@sha256:…`, or empty where there is no proof yet.
    """

    version: pulumi.Output[str]
    bundle_sha256: pulumi.Output[str]
    metrics: pulumi.Output[dict[str, float]]
    image: pulumi.Output[str]
    verdicts: pulumi.Output[list[str]]

    def __init__(
        self, name: str, args: ReleaseGateArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        props = {
            **dict.fromkeys(_FOUND),
            "registry": args.registry.props(),
            "stage": args.stage,
            # Left out where it is to be found: it is an output then, and not known before.
            "version": None if args.version == "" else args.version,
            "promote_from": args.promote_from,
            "image_server": args.image_server,
            "pinned": args.pinned,
            "compared_with": args.compared_with,
            "gates": [_bounds(gate) for gate in args.gates],
        }
        super().__init__(ReleaseGateProvider(), name, props, opts)


def _bounds(gate: Gate) -> dict[str, Any]:
    """Store only the bounds that are set: an unset one would vanish on the way to the engine."""
    return {key: value for key, value in asdict(gate).items() if value is not None}
