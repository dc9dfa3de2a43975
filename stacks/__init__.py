"""What each stack is made of. `deploy` composes the selected one."""

import importlib

import pulumi

from stacks.reader import SettingsError

__all__ = ["COMPOSITIONS", "SettingsError", "deploy"]

COMPOSITIONS = {
    "local": "stacks.local",
    "shared": "stacks.shared",
    "staging": "stacks.environment",
    "production": "stacks.environment",
}
"""The module that composes each stack; imported by need: a laptop has no cloud SDKs."""


def deploy() -> None:
    """Compose the selected stack.

    Raises:
        SettingsError: there is no such stack, or a config key is wrong.
    """
    stack = pulumi.get_stack()
    if stack not in COMPOSITIONS:
        raise SettingsError(
            f"the program composes no stack {stack!r}, only {', '.join(COMPOSITIONS)}"
        )
    importlib.import_module(COMPOSITIONS[stack]).compose()
