"""The pack itself says of every case, over the engine's own protocol, what the rules say."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest
import yaml
from policies_cases import BAD, GOOD, Case
from policies_process import Pack, running
from policies_programs import IMAGE, PROJECT, SECRET, declared
from pulumi.output import UNKNOWN
from pulumi.runtime.proto import analyzer_pb2

from policies.declared import Resource
from policies.pack import PACK_NAME
from policies.rules import RULES, violations

CASES = {f"stack{index}": case for index, case in enumerate((*GOOD, *BAD))}
_SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"


def stack_name(stack: str, case: Case) -> str:
    """Keep a name that a rule asks for; otherwise each case has a stack, so a file, of its own."""
    return case.config.stack if case.config.stack == "production" else stack


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "Pulumi.yaml").write_text(f"name: {PROJECT}\n")
    for name, case in CASES.items():
        (plain,) = case.config.files.values()
        content = {"config": {**plain, **case.config.effective}}
        (folder / f"Pulumi.{stack_name(name, case)}.yaml").write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture(scope="module")
def pack(root: Path) -> Generator[Pack]:
    with running(root) as started:
        yield started


def test_the_pack_tells_the_engine_its_rules(pack: Pack) -> None:
    info = pack.info()
    assert info.name == PACK_NAME
    told = [(rule.name, rule.description, rule.enforcementLevel) for rule in info.policies]
    assert told == [
        (
            rule.name,
            rule.description,
            analyzer_pb2.MANDATORY if rule.mandatory else analyzer_pb2.ADVISORY,
        )
        for rule in RULES
    ]


@pytest.mark.parametrize(
    "stack", CASES, ids=lambda stack: f"{CASES[stack].id} {'breaks' * bool(CASES[stack].problem)}"
)
def test_the_pack_says_what_the_rules_say(pack: Pack, stack: str) -> None:
    case = CASES[stack]
    resources = declared(case.program)
    name = stack_name(stack, case)
    told = [
        (found.policy, found.mandatory, found.text.partition("\n")[2])
        for found in pack.judge(resources, stack=name)
    ]
    assert sorted(told) == sorted(
        (found.rule, found.mandatory, found.text.replace("Pulumi.test.", f"Pulumi.{name}."))
        for found in violations(resources, case.config)
    )
    assert len(told) == bool(case.problem)


def test_a_violation_of_the_whole_stack_names_its_resource(pack: Pack) -> None:
    (case,) = [c for c in BAD if c.id == "production-proven: another image"]
    (found,) = pack.judge(declared(case.program), stack="production")
    assert found.urn.startswith("urn:pulumi:production::")
    assert found.urn.endswith("kubernetes:batch/v1:Job::api")


def test_unknown_properties_stop_no_rule(pack: Pack) -> None:
    """The SDK's own way with an unknown property is to skip the rest of the policy."""
    spec = {
        "hostNetwork": UNKNOWN,
        "containers": [
            UNKNOWN,
            {"name": UNKNOWN, "image": UNKNOWN, "securityContext": UNKNOWN},
            {"name": "log", "image": "log:1"},
        ],
    }
    unknown = Resource(
        type="azure-native:containerregistry:Registry",
        name="unknown",
        urn="urn:pulumi:dev::p::azure-native:containerregistry:Registry::unknown",
        properties={"adminUserEnabled": UNKNOWN, "tags": UNKNOWN},
        protect=True,
    )
    pod = Resource(
        type="kubernetes:core/v1:Pod",
        name="pod",
        urn="urn:pulumi:dev::p::kubernetes:core/v1:Pod::pod",
        properties={"spec": spec},
    )
    gate = Resource(
        type="pulumi-python:dynamic/lifecycle:ReleaseGate",
        name="gate",
        urn="urn:pulumi:dev::p::pulumi-python:dynamic/lifecycle:ReleaseGate::gate",
        properties={"stage": "production", "promote_from": "staging", "image": IMAGE},
    )
    found = pack.judge([unknown, gate, pod], stack="stack0")
    assert {diagnostic.policy for diagnostic in found} == {
        "image-by-digest",
        "pod-restricted",
        "production-proven",
    }
    assert all(diagnostic.mandatory for diagnostic in found)
    assert all("container log" in diagnostic.text for diagnostic in found)


def test_a_secret_property_is_read_like_any_other_and_not_told(pack: Pack) -> None:
    key, secret = _SECRET_SIGNATURE
    variable = {"name": "API_TOKEN", "value": {key: secret, "value": SECRET}}
    (api,) = declared(next(case.program for case in GOOD if case.id.startswith("image-by-digest")))
    container = {**api.properties["spec"]["template"]["spec"]["containers"][0], "env": [variable]}
    template = {**api.properties["spec"]["template"]["spec"], "containers": [container]}
    changed = Resource(
        type=api.type,
        name=api.name,
        urn=api.urn,
        properties={"spec": {"template": {"spec": template}}},
    )
    (found,) = pack.judge([changed], stack="stack0")
    assert found.policy == "inputs-without-secrets"
    assert "env.API_TOKEN" in found.text
    assert SECRET not in repr(found)


def test_the_engines_config_holds_over_the_files(root: Path) -> None:
    """A stack may be run with another config file than the one that lies beside the project."""
    (registry,) = declared(next(c.program for c in BAD if c.id == "data-protected: registry"))
    environment = {"PULUMI_CONFIG": json.dumps({f"{PROJECT}:protect": "false"})}
    with running(root, environment) as pack:
        (found,) = pack.judge([registry], stack="production")
    assert (found.policy, found.mandatory) == ("data-unprotected-by-setting", False)
