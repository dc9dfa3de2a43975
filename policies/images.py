"""Image references: `server/repository@sha256:…`, the only form that says which bytes will run."""

import re

__all__ = ["is_by_digest"]

_BY_DIGEST = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")


def is_by_digest(image: object) -> bool:
    """Whether it is a text that names an image by its digest."""
    return isinstance(image, str) and _BY_DIGEST.fullmatch(image) is not None
