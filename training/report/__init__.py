"""The evidence for people to read: the model card and its plots."""
