"""What a preview does not know breaks no rule, and hides nothing that it does know."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pulumi
import pytest
from policies_cases import BAD, GOOD, PRODUCTION, Case
from policies_programs import (
    GROUP,
    IMAGE,
    SECRET,
    TAGS,
    cluster,
    config,
    container,
    declared,
    deployment,
    gate,
    pod,
    registry,
    stage,
)
from pulumi.output import UNKNOWN
from pulumi_azure_native import operationalinsights, resources

from policies.declared import Resource
from policies.rules import violations


def with_one_unknown(value: Any) -> Iterator[Any]:
    """Yield the value once for each part of it, with Unknown in that part's place."""
    yield UNKNOWN
    if isinstance(value, dict):
        mapping = cast(dict[str, Any], value)
        for key, item in mapping.items():
            for changed in with_one_unknown(item):
                yield {**mapping, key: changed}
    elif isinstance(value, list):
        sequence = cast(list[Any], value)
        for index, item in enumerate(sequence):
            for changed in with_one_unknown(item):
                yield [*sequence[:index], changed, *sequence[index + 1 :]]


def variants(declared_: list[Resource]) -> Iterator[list[Resource]]:
    """Yield the resources once for each part of each one's properties, unknown in its turn."""
    for index, resource in enumerate(declared_):
        for properties in with_one_unknown(dict(resource.properties)):
            if isinstance(properties, dict):
                changed = replace(resource, properties=cast(dict[str, Any], properties))
                yield [*declared_[:index], changed, *declared_[index + 1 :]]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.id)
def test_whatever_part_is_unknown_breaks_no_rule(case: Case) -> None:
    for resources_ in variants(declared(case.program)):
        assert violations(resources_, case.config) == []


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_whatever_part_is_unknown_breaks_no_other_rule(case: Case) -> None:
    """The problem stays, or goes with what it is about; a container may lose its name."""
    for resources_ in variants(declared(case.program)):
        found = violations(resources_, case.config)
        assert {violation.rule for violation in found} <= {case.rule}
        assert len(found) <= 1


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_an_unknown_resource_hides_no_other(case: Case) -> None:
    known = declared(case.program)
    twins = [
        replace(
            resource,
            name="twin",
            protect=True,
            # A gate of which not even the stage is known may be the one that is missed.
            properties={
                key: value if key == "stage" else UNKNOWN
                for key, value in resource.properties.items()
            },
        )
        for resource in known
    ]
    found = violations([*twins, *known], case.config)
    assert [violation for violation in found if violation.name != "twin"] == violations(
        known, case.config
    )


def test_an_unknown_element_hides_no_other_of_its_list() -> None:
    spec = {"containers": [UNKNOWN, {"name": "log", "image": "log:1"}]}
    resource = Resource(
        type="kubernetes:core/v1:Pod", name="pod", urn="urn", properties={"spec": spec}
    )
    found = violations([resource], config())
    assert {violation.rule for violation in found} == {"image-by-digest", "pod-restricted"}
    assert all("container log: " in violation.text for violation in found)


@pytest.mark.parametrize("name", [{}, {"name": UNKNOWN}, {"name": None}])
def test_a_container_without_a_known_name_is_told_by_its_place(name: dict[str, Any]) -> None:
    spec = {"initContainers": [{**name, "image": "fetch:1"}]}
    resource = Resource(
        type="kubernetes:core/v1:Pod", name="pod", urn="urn", properties={"spec": spec}
    )
    found = violations([resource], config())
    assert "init container 0: its image is not named by digest" in found[0].text


def test_a_volume_that_may_yet_be_any_other_is_let_through() -> None:
    def program(volume: Any) -> list[Resource]:
        (known,) = declared(lambda: deployment(pod()))
        spec = {**known.properties["spec"]["template"]["spec"], "volumes": [volume]}
        return [replace(known, properties={"spec": {"template": {"spec": spec}}})]

    assert violations(program({"name": "tmp", "hostPath": UNKNOWN}), config()) == []
    assert violations(program({"name": "tmp", "hostPath": None}), config()) == []
    (found,) = violations(program({"name": UNKNOWN, "hostPath": {"path": UNKNOWN}}), config())
    assert "volume (unnamed): it is a hostPath" in found.text


def with_container(**properties: Any) -> list[Resource]:
    (known,) = declared(lambda: deployment(pod()))
    spec = known.properties["spec"]["template"]["spec"]
    changed = {**spec, "containers": [{**spec["containers"][0], **properties}]}
    return [replace(known, properties={"spec": {"template": {"spec": changed}}})]


def test_a_port_that_may_yet_be_the_pods_own_is_let_through() -> None:
    ports = [{"containerPort": 8080, "hostPort": UNKNOWN}, {"containerPort": 80, "hostPort": None}]
    assert violations(with_container(ports=ports), config()) == []
    ports.append({"containerPort": UNKNOWN, "hostPort": 80})
    (found,) = violations(with_container(ports=ports), config())
    assert "a port is a hostPort" in found.text


def test_a_secret_is_told_by_its_looks_although_its_name_is_unknown() -> None:
    env = [{"name": UNKNOWN, "value": f"https://a:{SECRET}@b"}, {"name": "TOKEN", "value": UNKNOWN}]
    (found,) = violations(with_container(env=env), config())
    assert "env.(unnamed) looks like a secret" in found.text


def test_a_first_preview_of_a_stack_knows_little_and_is_let_through() -> None:
    """The SDK itself says what depends on outputs that are not there yet."""

    def program() -> None:
        group = resources.ResourceGroup("group", tags=TAGS)
        # All that comes from another resource.
        shared = operationalinsights.Workspace(
            "logs",
            resource_group_name=group.name,
            retention_in_days=30,
            workspace_capping=operationalinsights.WorkspaceCappingArgs(daily_quota_gb=1),
            tags=group.id.apply(lambda id_: {**TAGS, "group": id_}),
            opts=pulumi.ResourceOptions(protect=True),
        )
        registry(resource_group_name=group.name)
        cluster(resource_group_name=shared.name)
        gate(version=shared.name, image=shared.name)
        deployment(pod(container(image=pulumi.Output.concat(shared.name, "@", shared.id))))
        stage(evidence={"image": shared.name})

    first = declared(program, unknown=True)
    by_name = {resource.name: resource.properties for resource in first}
    assert type(by_name["logs"]["tags"]) is type(UNKNOWN)
    image = by_name["api"]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert type(image) is type(UNKNOWN)
    assert violations(first, PRODUCTION) == []


def test_a_first_preview_tells_what_it_does_know() -> None:
    def program() -> None:
        group = resources.ResourceGroup("group", tags=TAGS)
        registry(resource_group_name=group.name, admin_user_enabled=True, tags=group.tags)
        deployment(
            pod(
                container(name="api", image=group.id),
                container(name="log", image=f"{GROUP}/log:1"),
            )
        )

    found = violations(declared(program, unknown=True), config())
    assert [(violation.rule, violation.name) for violation in found] == [
        ("registry-admin-off", "registry"),
        ("image-by-digest", "api"),
    ]
    assert "container log" in found[1].text


def test_a_gate_without_outputs_yet_asks_for_no_image() -> None:
    """Before a resource is there, an engine leaves its outputs out."""
    (proof,) = declared(lambda: gate(image=None))
    assert proof.properties.get("image") is None
    pods = declared(lambda: deployment(pod(container(image=IMAGE))))
    assert violations([proof, *pods], PRODUCTION) == []
