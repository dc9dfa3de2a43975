"""What a provider says while it works: the engine shows a provider's stdout."""

import contextlib

__all__ = ["say"]


def say(line: str) -> None:
    """Print a line at once; that its reader has left (`| head`) is no reason to stop the work."""
    with contextlib.suppress(BrokenPipeError):
        print(f"    {line}", flush=True)  # noqa: T201 - see the module's first line
