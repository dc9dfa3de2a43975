"""Errors of the lifecycle's resources.

    LifecycleError
    ├── RegistryError      the model registry does not answer or lacks what was asked for
    │   └── NoSuchReleaseError  it answers: there are releases, and not this one
    ├── WorkspaceError     the Databricks workspace does not answer, or refuses
    ├── TrainingError      a training run failed, and registered nothing
    ├── GateError          a release's figures do not reach the stage's gates, or were changed
    ├── ProcessError       the API process does not start, or does not stop
    ├── AddressError       the public address cannot be had
    ├── SmokeTestError     the API's answers are not those that training computed
    └── StillUsedError     an environment uses what was to be destroyed

Every message says what is wrong, where, and what to do; none holds a secret or an employee's value.
"""

__all__ = [
    "AddressError",
    "GateError",
    "LifecycleError",
    "NoSuchReleaseError",
    "ProcessError",
    "RegistryError",
    "SmokeTestError",
    "StillUsedError",
    "TrainingError",
    "WorkspaceError",
]


class LifecycleError(Exception):
    """Parent of the errors that a person can act on: shown as one message, without a traceback."""


class RegistryError(LifecycleError):
    """The model registry does not answer, or has no such model, version or alias."""


class NoSuchReleaseError(RegistryError):
    """The registry answers that there is no such version, while there are others."""


class WorkspaceError(LifecycleError):
    """The Databricks workspace does not answer, lets nobody in, or refuses what was asked."""


class TrainingError(LifecycleError):
    """A training run failed; nothing was registered."""


class GateError(LifecycleError):
    """A release may not reach a stage, which keeps what it has.

    A figure is outside a gate's bound or is not the one that was sealed, or there is no proof.
    """


class ProcessError(LifecycleError):
    """The API process did not start, did not become ready, or did not stop."""


class AddressError(LifecycleError):
    """The public address is taken by a program that is not ours."""


class SmokeTestError(LifecycleError):
    """The API's answers differ from the release's reference answers."""


class StillUsedError(LifecycleError):
    """What was to be destroyed is in use by another stack."""
