"""The drift detector: bins and counts, a test for each field, and one for all of them."""
