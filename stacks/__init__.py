"""What each stack is made of. `deploy` composes the selected one."""

from collections.abc import Callable

import pulumi

from stacks import local
from stacks.settings import SettingsError

__all__ = ["COMPOSITIONS", "SettingsError", "deploy"]

COMPOSITIONS: dict[str, Callable[[], None]] = {"local": local.compose}
"""Composition by stack name."""


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
    COMPOSITIONS[stack]()
