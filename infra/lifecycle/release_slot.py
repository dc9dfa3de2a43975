"""The place a release gets in a cluster: a name that no earlier one has had.

Pulumi makes an object with a new name before it deletes the old one. After an `up` that failed in
between, both exist, and the old one is marked for deletion: the next `up` ends with deleting
whatever bears its name. So going back to the very release that still serves must not give it its
old name: it would be refused ("already exists") or, where the provider adopts what it finds, be
deleted at the end. A number that only grows makes names differ, and unlike a random one it is the
same in a preview and in the `up` after it.
"""

import re
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown

__all__ = ["MAX_NAME", "ReleaseSlot", "ReleaseSlotArgs", "ReleaseSlotProvider", "slot_name"]

MAX_NAME = 52
"""Longest name of a slot in characters: Kubernetes allows a label 63, and suffixes follow."""

_DECIDES = ("base", "version", "image", "settings")
_IMAGE = re.compile(r".+@sha256:([0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True)
class ReleaseSlotArgs:
    """What makes one deployment different from the last.

    `base` begins the name, `version` is the release's, `image` its image by digest
    ("server/repository@sha256:…"). `settings` is a hash of whatever else has to be proved anew when
    it changes, such as the accepted API keys.
    """

    base: str
    version: pulumi.Input[str]
    image: pulumi.Input[str]
    settings: pulumi.Input[str]


def slot_name(base: str, version: str, image: str, generation: int) -> str:
    """Name a slot, such as `attrition-api-r7-1f0c22d9-g3`.

    Raises:
        ValueError: the version is no number, the image has no digest, or the name is too long.
    """
    digest = _IMAGE.fullmatch(image)
    if not digest:
        raise ValueError("the image must be named by its digest: server/repository@sha256:…")
    if not version.isdecimal():
        raise ValueError(f"the version must be a model version's number, not {version!r}")
    name = f"{base}-r{version}-{digest[1][:8]}-g{generation}"
    if len(name) > MAX_NAME:
        raise ValueError(f"{name!r} has {len(name)} characters, {MAX_NAME} are allowed")
    return name


class ReleaseSlotProvider(ResourceProvider):
    """Counts generations; touches nothing."""

    serialize_as_secret_always = False

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Add generation and name, so that a preview shows both."""
        decides = {key: news[key] for key in _DECIDES}
        if any(isinstance(value, Unknown) for value in decides.values()):
            return CheckResult(news, [])
        same = decides == {key: olds.get(key) for key in _DECIDES}
        # Numbers come back from the engine as floats.
        generation = int(olds.get("generation") or 0) + (0 if same else 1)
        try:
            name = slot_name(news["base"], news["version"], news["image"], generation)
        except ValueError as error:
            return CheckResult(news, [CheckFailure("image", str(error))])
        return CheckResult({**news, "generation": generation, "name": name}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Change in place: there is nothing that a replacement would have to delete."""
        return DiffResult(changes=olds.get("name") != news.get("name"))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Record the slot."""
        return CreateResult(id_="release-slot", outs=props)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Record the slot that follows."""
        return UpdateResult(outs=news)


class ReleaseSlot(Resource, module="lifecycle", name="ReleaseSlot"):
    """A name for one deployment of one release, and how many there were."""

    name: pulumi.Output[str]
    generation: pulumi.Output[int]

    def __init__(
        self, name: str, args: ReleaseSlotArgs, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        outputs = dict.fromkeys(("name", "generation"))
        super().__init__(ReleaseSlotProvider(), name, {**vars(args), **outputs}, opts)
