"""A stand-in for docker-build and the container registry: an image is a folder, by its digest."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

_PREFIX = "sha256:"


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """What an image holds and how its container starts.

    `paths` maps folders in the image to folders of this machine.
    """

    folder: str
    environment: dict[str, str]
    entrypoint: Sequence[str]
    command: Sequence[str]
    paths: dict[str, str] = field(default_factory=dict[str, str])

    def local(self, text: str) -> str:
        """Turn what names a folder of the image, in an argument or a variable, into ours."""
        option, equals, value = text.partition("=") if text.startswith("--") else ("", "", text)
        for inside, outside in self.paths.items():
            if value == inside or value.startswith(f"{inside}/"):
                value = outside + value[len(inside) :]
        return f"{option}{equals}{value}"


class Images:
    """The images of a registry, each in a folder named by its digest."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, digest: str) -> Path:
        return self.root / digest.removeprefix(_PREFIX)

    def add(self, digest: str, image: BuiltImage) -> None:
        content = json.dumps(asdict(image))
        (self.folder(digest) / "image.json").write_text(content)

    def find(self, reference: str) -> BuiltImage | None:
        """Find the image of `server/repository[:tag]@sha256:…`; a tag alone finds nothing."""
        _, _, digest = reference.partition("@")
        file = self.folder(digest) / "image.json"
        if not digest.startswith(_PREFIX) or not file.exists():
            return None
        return BuiltImage(**json.loads(file.read_text()))

    def digests(self) -> list[str]:
        """List what can be pulled."""
        return [_PREFIX + path.parent.name for path in sorted(self.root.glob("*/image.json"))]
