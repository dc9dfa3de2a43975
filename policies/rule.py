"""What a rule is: a name, what must hold, what to do, and a check."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from policies.declared import Resource
from policies.stack_config import StackConfig

__all__ = ["ConfigRule", "ResourceRule", "Rule", "StackRule", "Violation"]


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One thing that is wrong. `urn` is empty if it is about the stack's config.

    A violation that is not `mandatory` is worth a look and stops nothing.
    """

    rule: str
    name: str
    type: str
    urn: str
    problem: str
    remedy: str
    mandatory: bool

    @property
    def text(self) -> str:
        """One line for a person: the rule, the resource, what is wrong with it, what to do."""
        kind = self.type.rpartition(":")[2]
        about = f"{self.name} ({kind})" if kind else self.name
        return f"{self.rule}: {about}: {self.problem}. {self.remedy}"


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """What all rules have; `description` says what must hold, `remedy` how to make it so."""

    name: str
    description: str
    remedy: str
    mandatory: bool = True

    @abstractmethod
    def violations(self, resources: Sequence[Resource], config: StackConfig) -> Iterator[Violation]:
        """Find what is wrong with these resources, or with the stack's config."""

    def _violation(self, resource: Resource, problem: str) -> Violation:
        return Violation(
            rule=self.name,
            name=resource.name,
            type=resource.type,
            urn=resource.urn,
            problem=problem,
            remedy=self.remedy,
            mandatory=self.mandatory,
        )


@dataclass(frozen=True, kw_only=True)
class ResourceRule(Rule):
    """A rule on each resource alone, so that an engine can judge it before it creates it.

    `check` yields one problem a text.
    """

    check: Callable[[Resource, StackConfig], Iterable[str]]

    def violations(self, resources: Sequence[Resource], config: StackConfig) -> Iterator[Violation]:
        """Check one resource after the other."""
        for resource in resources:
            for problem in self.check(resource, config):
                yield self._violation(resource, problem)


@dataclass(frozen=True, kw_only=True)
class StackRule(Rule):
    """A rule on how resources of a stack go together; `check` says which one a problem is with."""

    check: Callable[[Sequence[Resource], StackConfig], Iterable[tuple[Resource, str]]]

    def violations(self, resources: Sequence[Resource], config: StackConfig) -> Iterator[Violation]:
        """Check all resources at once."""
        for resource, problem in self.check(resources, config):
            yield self._violation(resource, problem)


@dataclass(frozen=True, kw_only=True)
class ConfigRule(Rule):
    """A rule on what the files of the stack's config say; `check` yields a file and a problem."""

    check: Callable[[StackConfig], Iterable[tuple[str, str]]]

    def violations(self, resources: Sequence[Resource], config: StackConfig) -> Iterator[Violation]:  # noqa: ARG002 - the same for every kind of rule
        """Check the config, whatever the resources are."""
        for file, problem in self.check(config):
            yield Violation(
                rule=self.name,
                name=file,
                type="",
                urn="",
                problem=problem,
                remedy=self.remedy,
                mandatory=self.mandatory,
            )
