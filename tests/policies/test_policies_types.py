"""Rules know a type by whatever token an SDK gives it, and know which types take tags."""

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_databricks
import pytest
from policies_cases import BAD, GOOD, Case
from policies_programs import config, declared

from policies.declared import Resource
from policies.pods import POD_PATHS
from policies.rules import violations
from policies.tag_rules import AZURE, DATABRICKS


def tokens(resource: Resource) -> Iterator[str]:
    """Yield the other tokens that SDKs have for a resource's type."""
    package, module, kind = resource.type.split(":")
    match package:
        case "azure-native":
            yield f"{package}:{module}/v20250901:{kind}"
            yield f"{package}:{module}/v20251002preview:{kind}"
            yield f"{package}_{module}_v20260501:{module}:{kind}"
            yield f"{package}_{module}_v20260501:{module}/v20260501:{kind}"
        case "kubernetes" if "/" in module:
            group = module.partition("/")[0]
            yield f"kubernetes:{group}/v1beta1:{kind}"
        case _:
            pass


@pytest.mark.parametrize(
    "case",
    [case for case in (*GOOD, *BAD) if case.rule != "config-without-secrets"],
    ids=lambda case: f"{case.id} {'breaks' if case.problem else 'keeps'}",
)
def test_a_versioned_token_is_judged_like_the_default_one(case: Case) -> None:
    known = declared(case.program)
    expected = [(v.rule, v.name, v.problem) for v in violations(known, case.config)]
    for index, resource in enumerate(known):
        for token in tokens(resource):
            versioned = [*known[:index], replace(resource, type=token), *known[index + 1 :]]
            found = violations(versioned, case.config)
            assert [(v.rule, v.name, v.problem) for v in found] == expected, token


@pytest.mark.parametrize(
    ("token", "azure", "kubernetes", "databricks"),
    [
        ("azure-native:containerservice:ManagedCluster", "containerservice:ManagedCluster", "", ""),
        ("azure:containerservice/kubernetesCluster:KubernetesCluster", "", "", ""),
        ("azure-native:index:Provider:more", "", "", ""),
        ("pulumi:providers:azure-native", "", "", ""),
        ("kubernetes:core/v1:Pod", "", "Pod", ""),
        ("kubernetes:apps/v1:DeploymentPatch", "", "Deployment", ""),
        ("kubernetes:gateway.networking.k8s.io/v1:Gateway", "", "Gateway", ""),
        ("databricks:index/job:Job", "", "", "Job"),
        ("pulumi-python:dynamic/lifecycle:ReleaseGate", "", "", ""),
    ],
)
def test_a_type_is_read_from_its_token(
    token: str, azure: str, kubernetes: str, databricks: str
) -> None:
    resource = Resource(type=token, name="x", urn="urn", properties={})
    assert (resource.azure, resource.kubernetes, resource.databricks) == (
        azure,
        kubernetes,
        databricks,
    )


def test_other_peoples_resources_are_let_through() -> None:
    """Components, providers and the stack itself: no rule is about them."""
    types = ("pulumi:pulumi:Stack", "pulumi:providers:kubernetes", "employee-retention:api:Api")
    found = [Resource(type=type_, name="x", urn="urn", properties={}) for type_ in types]
    assert violations(found, config(stack="production")) == []


def resource_classes(module: Any) -> dict[str, type[pulumi.CustomResource]]:
    """Find a module's resources; the module is loaded when its first attribute is asked for."""
    assert module.__name__
    getattr(module, "__all__", None)
    found = {name: getattr(module, name) for name in dir(module) if name[0].isupper()}
    return {
        name: value
        for name, value in found.items()
        if inspect.isclass(value) and issubclass(value, pulumi.CustomResource)
    }


def takes(resource: Any, key: str) -> bool:
    """Whether the constructor has this parameter, for a map of texts."""
    parameter = inspect.signature(resource._internal_init).parameters.get(key)
    return parameter is not None and str(parameter.annotation).startswith(
        "typing.Union[typing.Mapping[str, typing.Union[str, "
    )


@pytest.mark.parametrize("module", AZURE)
def test_the_list_of_what_takes_tags_agrees_with_the_azure_sdk(module: str) -> None:
    found = resource_classes(importlib.import_module(f"pulumi_azure_native.{module}"))
    assert found, "the module has no resource"
    assert {name for name, value in found.items() if takes(value, "tags")} == AZURE[module]


def test_the_list_of_what_takes_tags_agrees_with_the_databricks_sdk() -> None:
    keys = {"tags": "tags", "custom_tags": "customTags"}
    assert {
        name: camel
        for name, value in resource_classes(pulumi_databricks).items()
        for key, camel in keys.items()
        if takes(value, key)
    } == DATABRICKS


def test_the_cases_have_every_kind_that_holds_pods() -> None:
    broken = {
        resource.kubernetes
        for case in BAD
        if case.rule == "pod-restricted"
        for resource in declared(case.program)
    }
    assert broken == POD_PATHS.keys()
