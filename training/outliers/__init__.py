"""The outlier detector: each field's value, given those of two others."""
