"""Rules on what production runs: a release that staging has proven, and exactly its image."""

from collections.abc import Iterator, Sequence
from typing import Any

from policies.declared import Resource, at, differs, is_unknown, known_text
from policies.images import is_by_digest
from policies.pods import containers, pod_spec
from policies.stack_config import PRODUCTION, StackConfig

__all__ = ["production_gate", "production_runs_the_proven"]

_GATE = "pulumi-python:dynamic/lifecycle:ReleaseGate"
_STAGE = "pulumi-python:dynamic/lifecycle:ModelStage"
_PROVING_STAGE = "staging"


def production_gate(resource: Resource, _: StackConfig) -> Iterator[str]:
    """A release comes from the stage that proves it, and leaves evidence that names its image."""
    properties = resource.properties
    if resource.type == _GATE and _stage(resource) == PRODUCTION:
        if differs(properties.get("promote_from"), _PROVING_STAGE):
            yield f"promote_from is not {_PROVING_STAGE!r}: the release need not be proven"
    elif resource.type == _STAGE and _stage(resource) == PRODUCTION:
        image = at(properties, "evidence", "image")
        if not is_unknown(image) and not is_by_digest(image):
            yield "evidence.image does not name the image by digest: nobody could go back to it"


def production_runs_the_proven(
    resources: Sequence[Resource], config: StackConfig
) -> Iterator[tuple[Resource, str]]:
    """Pods run in production only behind its gate, and of the image that the gate let through.

    What a preview does not know yet, or an engine has no output of yet, is left out.
    """
    gates, stages = _of_production(resources, _GATE), _of_production(resources, _STAGE)
    if not (gates or stages or config.production):
        return
    running = [resource for resource in resources if pod_spec(resource)]
    # A gate whose stage is not known yet may be the one.
    if not gates and not any(is_unknown(_stage(r)) for r in resources if r.type == _GATE):
        for resource in [*stages, *running]:
            yield resource, f"no ReleaseGate of the stage {PRODUCTION!r} is before it"
    for gate in gates:
        proven = known_text(gate.properties.get("image"))
        if proven is None:
            continue
        if not is_by_digest(proven):
            yield gate, f"the release has no image that {_PROVING_STAGE} has proven"
            continue
        for resource in running:
            for container in containers(pod_spec(resource)):
                image = known_text(container.properties.get("image"))
                if image is not None and _digest(image) != _digest(proven):
                    yield resource, f"{container.label}: its image is not the proven {proven}"


def _of_production(resources: Sequence[Resource], type_: str) -> list[Resource]:
    return [r for r in resources if r.type == type_ and _stage(r) == PRODUCTION]


def _digest(image: str) -> str:
    return image.partition("@")[2]


def _stage(resource: Resource) -> Any:
    return resource.properties.get("stage")
