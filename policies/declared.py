"""A declared resource as rules see it, whichever engine ran the program; and ways to read it.

In a preview a part of any property may be unknown: a `pulumi.output.Unknown` stands for it. What is
unknown breaks no rule, and hides nothing that is known.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pulumi.output import Unknown

__all__ = [
    "Resource",
    "at",
    "differs",
    "each",
    "entries",
    "is_list",
    "is_mapping",
    "is_unknown",
    "known_text",
]

# `azure-native:containerservice/v20250901:ManagedCluster` with an API version,
# `azure-native:containerservice:ManagedCluster` without; a package that `pulumi package add` made
# of one API version has the version in its name.
_AZURE = re.compile(r"azure-native(?:_\w+)?:(?P<module>[a-z0-9]+)(?:/\w+)?:(?P<kind>\w+)")
_KUBERNETES = re.compile(r"kubernetes:(?P<group>[^:]+):(?P<kind>\w+?)(?:Patch)?")
_DATABRICKS = re.compile(r"databricks:index/\w+:(?P<kind>\w+)")


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource: its type token, its logical name, and its properties in camelCase and in clear.

    `properties` are the inputs, or what is known of the outputs where a whole stack is judged.
    """

    type: str
    name: str
    urn: str
    properties: Mapping[str, Any] = field(repr=False)
    protect: bool = False
    parent: str = ""

    @property
    def kind(self) -> str:
        """The last word of the type, such as `ManagedCluster`."""
        return self.type.rpartition(":")[2]

    @property
    def azure(self) -> str:
        """The Azure type without its API version, `containerservice:ManagedCluster`; or empty."""
        found = _AZURE.fullmatch(self.type)
        return f"{found['module']}:{found['kind']}" if found else ""

    @property
    def kubernetes(self) -> str:
        """The Kubernetes kind, such as `Deployment`, whatever its group's version; or empty."""
        found = _KUBERNETES.fullmatch(self.type)
        return found["kind"] if found else ""

    @property
    def databricks(self) -> str:
        """The Databricks kind, such as `Job`; or empty."""
        found = _DATABRICKS.fullmatch(self.type)
        return found["kind"] if found else ""


def is_unknown(value: object) -> bool:
    """Whether a preview cannot know the value."""
    return isinstance(value, Unknown)


def is_mapping(value: object) -> bool:
    """Whether the value has entries."""
    return isinstance(value, Mapping)


def is_list(value: object) -> bool:
    """Whether the value has elements, and is no text."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def at(value: object, *path: str) -> Any:
    """Follow `path` into nested properties: None where it ends early, Unknown where that is met."""
    for key in path:
        if isinstance(value, Unknown):
            return value
        if not isinstance(value, Mapping):
            return None
        value = cast(Mapping[str, Any], value).get(key)
    return value


def differs(value: object, expected: bool | str) -> bool:
    """Whether the value is known and another one; absent is another one, and 1.0 is not True."""
    return not is_unknown(value) and (type(value), value) != (type(expected), expected)


def each(value: object) -> list[Any]:
    """The elements of a list, unknown ones left out; none if it is absent or unknown as a whole."""
    return (
        [item for item in cast(list[Any], value) if not is_unknown(item)] if is_list(value) else []
    )


def entries(value: object) -> dict[str, Any]:
    """The entries of a mapping; none if it is absent or unknown as a whole."""
    return dict(cast(Mapping[str, Any], value)) if is_mapping(value) else {}


def known_text(value: object) -> str | None:
    """The text, or None where it is unknown, absent or no text."""
    return value if isinstance(value, str) else None
