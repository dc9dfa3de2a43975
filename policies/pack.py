"""The rules as policies of Pulumi's policy engine: translates its arguments, decides nothing.

Rules on one resource or on the config are judged before a resource is created; a rule on a whole
stack after all of it, so that a preview shows a violation and an `up` fails with it.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pulumi
from pulumi.output import UNKNOWN
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policies.declared import Resource
from policies.rule import ConfigRule, ResourceRule, Rule
from policies.rules import RULES
from policies.stack_config import StackConfig

__all__ = ["PACK_NAME", "policies"]

PACK_NAME = "employee-retention"

_STACK = "pulumi:pulumi:Stack"
_SETTINGS = ("protect", "registryStage")
"""What rules ask of the config beside its files; an engine may have it from elsewhere."""


def policies(root: Path) -> list[Policy]:
    """Make one policy of each rule, for the project in `root`."""
    return [_policy(rule, root) for rule in RULES]


def _policy(rule: Rule, root: Path) -> Policy:
    level = EnforcementLevel.MANDATORY if rule.mandatory else EnforcementLevel.ADVISORY
    if isinstance(rule, ConfigRule | ResourceRule):

        def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
            # The stack comes first, and once: the right time to judge its config.
            if isinstance(rule, ResourceRule) or args.resource_type == _STACK:
                _report(rule, [_resource(args)], root, report)

        return ResourceValidationPolicy(rule.name, rule.description, validate, level)

    def validate_stack(args: StackValidationArgs, report: ReportViolation) -> None:
        _report(rule, [_resource(resource) for resource in args.resources], root, report)

    return StackValidationPolicy(rule.name, rule.description, validate_stack, level)


def _report(rule: Rule, resources: Sequence[Resource], root: Path, report: ReportViolation) -> None:
    if not resources:
        return
    stack, project = _stack_and_project(resources[0].urn)
    config = pulumi.Config(project)
    effective = tuple((f"{project}:{key}", config.get(key)) for key in _SETTINGS)
    for found in rule.violations(resources, _config(root, stack, effective)):
        report(found.text, found.urn or None)


def _stack_and_project(urn: str) -> tuple[str, str]:
    """Read them from `urn:pulumi:<stack>::<project>::<types>::<name>`."""
    stack, project = urn.split("::")[:2]
    return stack.removeprefix("urn:pulumi:"), project


@functools.cache
def _config(root: Path, stack: str, effective: tuple[tuple[str, str | None], ...]) -> StackConfig:
    """Read the files once: every rule asks for them, for every resource."""
    known = {key: value for key, value in effective if value is not None}
    return StackConfig.read(root, stack, effective=known)


def _resource(found: ResourceValidationArgs | PolicyResource) -> Resource:
    return Resource(
        type=found.resource_type,
        name=found.name,
        urn=found.urn,
        properties=_known(found.props),
        protect=found.opts.protect,
        parent=found.opts.parent or "",
    )


def _known(value: Any) -> Any:
    """Copy properties, with Unknown in place of what raises when it is read."""
    if isinstance(value, Mapping):
        mapping = cast(Mapping[str, Any], value)
        return {key: _item(mapping, key) for key in mapping}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        sequence = cast(Sequence[Any], value)
        return [_item(sequence, index) for index in range(len(sequence))]
    return value


def _item(holder: Any, key: str | int) -> Any:
    try:
        return _known(holder[key])
    except UnknownValueError:
        return UNKNOWN
