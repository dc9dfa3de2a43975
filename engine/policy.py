"""The house's policies over a plan: what `pulumi preview --policy-pack policies` would say."""

from collections.abc import Sequence

import policies
from engine.embedded import Step
from engine.errors import EngineError
from engine.project import Project
from engine.properties import PROVIDER

__all__ = ["judge"]

_NOT_DECLARED = {"delete", "read"}


def judge(project: Project, steps: Sequence[Step]) -> str:
    """Apply every rule to the planned resources; return what to tell of it.

    Raises:
        EngineError: a mandatory rule is broken; the message has every violation.
    """
    config = policies.StackConfig.read(project.root, project.stack, effective=project.config)
    declared = [_resource(step) for step in steps if step.operation not in _NOT_DECLARED]
    found = policies.violations(declared, config)
    texts = [violation.text for violation in found]
    if any(violation.mandatory for violation in found):
        raise EngineError("the policies do not hold:\n  " + "\n  ".join(texts))
    notes = "".join(f"\n  {text}" for text in texts)
    return f"policies: {len(policies.RULES)} rules hold{notes}"


def _resource(step: Step) -> policies.Resource:
    record = step.record
    return policies.Resource(
        type=record.type,
        name=record.name,
        urn=record.urn,
        properties={key: value for key, value in record.inputs.items() if key != PROVIDER},
        protect=record.protect,
        parent=record.parent,
    )
