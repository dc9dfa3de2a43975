"""The API's log lines, as far as others read them: their version, their fields, their least size.

Each line is one JSON object on standard output. The lines `request` and `window` are counted, and
have exactly these fields. None holds an employee's value, a name, or a text of the client's own.
"""

from typing import Literal, TypedDict

__all__ = ["MINIMUM_RECORDS", "SCHEMA", "RequestLine", "WindowLine"]

SCHEMA = 1
"""Version of the lines' form, in each of them."""

MINIMUM_RECORDS = 20
"""The least that a line `window` may be set to: the bins of one person's record are that record."""


class RequestLine(TypedDict):
    """One for every request, once it is answered; `time` is UTC (RFC 3339).

    `caller` is an application's id, or `key:` and the start of its key's sha-256; null where nobody
    was let in. `method` and `route` (the path's template) are null where the API knows no such one;
    `status` is 499 where the client left with its request half sent, and null where the process
    ended before any answer. `records` and `outliers` are those of the answer; `hypothetical` says
    that they are nobody's, and to be counted nowhere.
    """

    time: str
    event: Literal["request"]
    schema: int
    request_id: str
    release: str
    caller: str | None
    method: str | None
    route: str | None
    status: int | None
    duration_ms: float
    records: int
    outliers: int
    hypothetical: bool


class WindowLine(TypedDict):
    """The records that were answered after `since`, `MINIMUM_RECORDS` at least, as counts.

    `counts` has the records in each of the release's bins, by field; `probabilities` by tenth of
    the predicted probability, lowest first. `outliers`, `referred` and `at_risk` are numbers of
    records too.
    """

    time: str
    event: Literal["window"]
    schema: int
    release: str
    since: str
    records: int
    counts: dict[str, list[int]]
    probabilities: list[int]
    outliers: int
    referred: int
    at_risk: int
