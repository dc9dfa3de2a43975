"""The lifecycle end to end."""
