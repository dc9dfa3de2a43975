"""The API against an endpoint that does next to nothing: the figures and how they are measured."""
