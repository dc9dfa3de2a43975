"""What a batch run raises when it cannot do what it was asked."""

__all__ = ["BatchError"]


class BatchError(Exception):
    """The run cannot go on; the message says what is wrong, where, and what to do.

    It never holds a cell's content: a value is somebody's data, and messages end up in logs.
    """
