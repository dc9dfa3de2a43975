"""What a training process says: one line per step."""

__all__ = ["progress"]

_STEP_WIDTH = 12


def progress(step: str, text: str) -> None:
    """Write one line, `step` padded to a column and then `text`, and flush it."""
    print(f"{step:<{_STEP_WIDTH}}{text}", flush=True)  # noqa: T201 the child's stdout is its progress
