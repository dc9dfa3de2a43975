"""Errors of running the program, and which of them need no traceback."""

from contract.dataset import DatasetError
from contract.fingerprint import CodeError
from contract.release import ReleaseError
from infra.lifecycle.errors import LifecycleError
from stacks import SettingsError

__all__ = ["EngineError", "UnexpectedError", "as_engine_error"]

_EXPECTED = (LifecycleError, CodeError, DatasetError, ReleaseError, SettingsError)


class EngineError(Exception):
    """The program cannot be run, or did not run to its end; says what is wrong and what to do."""


class UnexpectedError(EngineError):
    """The program failed in a way that nobody wrote a message for; its traceback is shown too."""


def as_engine_error(error: Exception, about: str = "") -> EngineError:
    """Make of an error one that the command line shows, `about` a resource where it is known."""
    kind = EngineError if isinstance(error, _EXPECTED) else UnexpectedError
    return kind(f"{about}: {error}" if about else str(error))
