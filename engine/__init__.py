"""How the program is run where a person types `make`: by Pulumi, or by the embedded engine.

Nothing of the program imports this package; `pulumi up` works without it.
"""
