"""Every rule, on what keeps it and on what breaks it."""

import pytest
from policies_cases import BAD, GOOD, Case
from policies_programs import PROJECT, SECRET, declared

from policies.rules import RULES, violations

BY_NAME = {rule.name: rule for rule in RULES}


def test_rules_have_names_of_their_own() -> None:
    assert len(BY_NAME) == len(RULES)


@pytest.mark.parametrize("rule", BY_NAME)
def test_every_rule_has_a_case_that_keeps_it_and_one_that_breaks_it(rule: str) -> None:
    assert [case for case in GOOD if case.rule == rule]
    assert [case for case in BAD if case.rule == rule]


def test_every_case_is_of_a_rule_and_has_a_name_of_its_own() -> None:
    assert {case.rule for case in [*GOOD, *BAD]} == BY_NAME.keys()
    for cases in (GOOD, BAD):
        assert len({case.id for case in cases}) == len(cases)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.id)
def test_what_keeps_the_rules_is_let_through(case: Case) -> None:
    assert violations(declared(case.program), case.config) == []


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_what_breaks_a_rule_breaks_that_one_alone_and_is_told(case: Case) -> None:
    resources = declared(case.program)
    (found,) = violations(resources, case.config)
    assert found.rule == case.rule
    assert found.mandatory == (case.rule != "data-unprotected-by-setting")
    # Who it is about.
    named = {(resource.name, resource.urn) for resource in resources} | {("Pulumi.test.yaml", "")}
    assert (found.name, found.urn) in named
    # The rule, the resource, what is wrong, what to do; all in one line.
    assert found.text.startswith(f"{case.rule}: {found.name}")
    assert case.problem in found.text
    assert found.text.endswith(f". {BY_NAME[case.rule].remedy}")
    assert found.text.count("\n") == 0
    assert SECRET not in repr(found)


def test_one_resource_can_break_several_rules_and_each_is_told() -> None:
    import policies_programs as programs

    def program() -> None:
        programs.registry(protect=False, admin_user_enabled=True, tags={"project": PROJECT})
        programs.deployment(
            programs.pod(programs.container(image="api:1", security={"privileged": True}))
        )

    found = violations(declared(program), programs.config())
    assert [(v.rule, v.name) for v in found] == [
        ("registry-admin-off", "registry"),
        ("data-protected", "registry"),
        ("tagged", "registry"),
        ("image-by-digest", "api"),
        ("pod-restricted", "api"),
    ]
