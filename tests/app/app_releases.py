"""Change a release and seal it again: what training could have done wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contract.release import seal

__all__ = ["change"]


def change(
    folder: Path, name: str, edit: Callable[[Any], object], *, text: str | None = None
) -> str:
    """Change the JSON content of one file, or replace it by `text`; return the new sha-256."""
    content = json.loads((folder / name).read_bytes())
    edit(content)
    whole = json.dumps(content) if text is None else text
    (folder / name).write_bytes(whole.encode("latin-1"))
    return seal(folder)
