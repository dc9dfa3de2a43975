"""The API's log lines, as far as others read them: their version, and the least that one may hold.

Each line is one JSON object on standard output; docs/api.md has their fields.
"""

__all__ = ["MINIMUM_RECORDS", "SCHEMA"]

SCHEMA = 1
"""Version of the lines' form, in each of them."""

MINIMUM_RECORDS = 20
"""The least that a line `window` may be set to: the bins of one person's record are that record."""
