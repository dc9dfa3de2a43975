"""How good a release is: every figure of its evidence, measured on what it was not fitted to."""
