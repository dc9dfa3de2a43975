"""Whether what a process writes tells a value that it was sent."""

import re


def tells(text: str, value: object) -> bool:
    """Whether the value is there as itself, not as digits within an id, a time or a fraction.

    Those are of chance: any five digits are among the microseconds of a log now and then.
    """
    return re.search(rf"(?<![\w.]){re.escape(str(value))}(?!\w)", text) is not None
