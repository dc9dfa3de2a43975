"""Tests; the helpers among them are imported as `tests.…`."""
