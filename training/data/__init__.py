"""The employee table: read, checked against the contract, and exported for others to read."""
