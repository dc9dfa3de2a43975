"""What the embedded engine does with a program: the steps it takes, and their order."""

from pathlib import Path
from typing import Any

import pytest
from engine_house import House

from engine.errors import EngineError

AB = 'a = Thing("a", value="1"); Thing("b", value=a.made)'


# Creating, and leaving alone what is as it should be


def test_what_is_new_is_created_in_the_order_of_its_dependencies(house: House) -> None:
    assert house.apply(AB) == ["create a", "create b"]
    assert house.world.calls() == ["create a", "create b"]
    assert house.record("b").inputs["value"] == "made of 1"


def test_a_second_apply_changes_nothing_and_asks_only_check_and_diff(house: House) -> None:
    house.apply(AB)
    before = house.state_file.read_bytes()
    house.world.forget()
    assert house.apply() == ["same a", "same b"]
    # Once for the preview that every apply begins with, and once for itself.
    assert house.world.calls("check", "diff", "create", "update", "delete") == [
        *["check a", "diff a", "check b", "diff b"] * 2
    ]
    assert house.state_file.read_bytes() == before


def test_the_report_has_the_beginning_and_the_end_of_every_change(house: House) -> None:
    house.apply('Thing("a", value="1")')
    house.apply('Thing("a", value="2")')
    assert [(s.operation, s.done, s.changed) for s in house.reported] == [
        ("update", False, {"value": "2"}),
        ("update", True, {}),
    ]


def test_an_input_that_check_adds_reaches_create_and_the_outputs(house: House) -> None:
    house.apply('pulumi.export("checked", Thing("a", value="1").checked)')
    assert house.world.last("create")["props"]["checked"] == "checked a"
    assert house.record("a").inputs["checked"] == "checked a"
    assert house.outputs() == {"checked": "checked a"}


@pytest.mark.parametrize(
    "value",
    ["text", "", "ä €", 3.0, 0.1, True, False, [1.0, ["x"]], {"k": {"l": [True]}}, [], {}],
    ids=repr,
)
def test_a_value_comes_back_as_it_went_in(house: House, value: Any) -> None:
    program = f'pulumi.export("out", Thing("a", value={value!r}).value)'
    house.apply(program)
    assert house.world.last("create")["props"]["value"] == value
    assert house.outputs() == {"out": value}
    assert house.apply() == ["same a"]


def test_providers_are_configured_with_the_projects_config(house: House) -> None:
    house.config["proj:greeting"] = "hello"
    house.apply(
        """
        from engine_extras import Configured
        pulumi.export("made", Configured("a", world=Thing.keywords["world"]).made)
        pulumi.export("asked", pulumi.Config().require("greeting"))
        """
    )
    assert house.outputs() == {"made": "configured with hello", "asked": "hello"}


def test_a_program_knows_its_project_stack_and_phase(house: House) -> None:
    program = """
        from pathlib import Path
        line = f"{pulumi.get_project()} {pulumi.get_stack()} {pulumi.runtime.is_dry_run()}"
        with Path(__file__).with_name("phases").open("a") as file:
            file.write(line + "\\n")
        """
    house.preview(program)
    house.apply()
    assert (house.root / "phases").read_text().splitlines() == [
        "proj test True",
        "proj test True",
        "proj test False",
    ]


# Updating


def test_an_update_is_in_place_and_gets_the_old_outputs(house: House) -> None:
    house.apply('Thing("a", value="1")')
    assert house.apply('Thing("a", value="2")') == ["update a"]
    call = house.world.last("update")
    assert call["id"] == "id-a-None"
    assert call["olds"]["made"] == "made of 1"
    assert call["news"]["value"] == "2"
    assert house.record("a").outputs["made"] == "made of 2"
    assert house.record("a").id == "id-a-None"


def test_what_update_leaves_out_of_its_outputs_is_gone(house: House) -> None:
    program = 'from engine_extras import Forgetful\nForgetful("a", world=Thing.keywords["world"]'
    house.apply(f'{program}, value="1")')
    assert "made" in house.record("a").outputs
    house.apply(f'{program}, value="2")')
    assert "made" not in house.record("a").outputs


def test_without_a_decision_of_diff_changed_inputs_decide(house: House) -> None:
    program = 'Thing("a", value={value!r}, provider=UndecidedProvider())'
    house.apply(program.format(value="1"))
    assert house.apply() == ["same a"]
    assert house.apply(program.format(value="2")) == ["update a"]


def test_a_diff_that_denies_a_change_is_believed(house: House) -> None:
    house.apply('Thing("a", value="1", colour="red")')
    assert house.apply('Thing("a", value="1", colour="blue")') == ["same a"]
    # The new inputs are what the next run compares with, as under Pulumi.
    assert house.record("a").inputs["colour"] == "blue"
    assert house.record("a").outputs["colour"] == "red"


# Replacing


def test_a_replacement_creates_first_and_deletes_at_the_end(house: House) -> None:
    house.apply('a = Thing("a", size="1"); Thing("b", value=a.id)')
    house.world.forget()
    steps = house.apply('a = Thing("a", size="2"); Thing("b", value=a.id)')
    assert steps == ["replace a", "update b", "delete a"]
    assert house.world.calls() == ["create a", "update b", "delete a"]
    assert house.world.last("delete")["id"] == "id-a-1"
    assert house.record("a").id == "id-a-2"
    assert house.world.last("update")["news"]["value"] == "id-a-2"


def test_delete_before_replace_deletes_first(house: House) -> None:
    house.apply('Thing("a", size="1", before=True)')
    house.world.forget()
    assert house.apply('Thing("a", size="2", before=True)') == ["replace a"]
    assert house.world.calls() == ["delete a", "create a"]
    assert house.record("a").id == "id-a-2"
    assert house.names() == ["a"]


def test_two_replacements_are_deleted_dependents_first(house: House) -> None:
    program = 'a = Thing("a", size={0!r}); b = Thing("b", size={0!r}, value=a.made)'
    house.apply(program.format("1"))
    house.world.forget()
    house.apply(program.format("2"))
    assert house.world.calls() == ["create a", "create b", "delete b", "delete a"]


def test_a_dependency_that_turned_round_is_no_circle(house: House) -> None:
    house.apply('b = Thing("b"); a = Thing("a", size="1", opts=ResourceOptions(depends_on=[b]))')
    house.apply('a = Thing("a", size="2"); Thing("b", opts=ResourceOptions(depends_on=[a]))')
    assert house.world.calls("delete") == ["delete a"]


# Deleting


def test_what_left_the_program_is_deleted_last(house: House) -> None:
    house.apply('Thing("gone"); Thing("kept", value="1")')
    house.world.forget()
    assert house.apply('Thing("kept", value="2")') == ["update kept", "delete gone"]
    assert house.world.calls() == ["update kept", "delete gone"]
    assert house.names() == ["kept"]


def test_dependents_that_left_the_program_are_deleted_before_what_they_need(house: House) -> None:
    house.apply(
        """
        a = Thing("a")
        b = Thing("b", value=a.made)
        c = Thing("c", opts=ResourceOptions(depends_on=[b]))
        Thing("d")
        """
    )
    house.world.forget()
    house.apply('Thing("d")')
    assert house.world.calls() == ["delete c", "delete b", "delete a"]


def test_destroy_deletes_dependents_first_and_forgets_the_outputs(house: House) -> None:
    house.apply(
        """
        a = Thing("a")
        b = Thing("b", value=a.made)
        pulumi.export("made", Thing("c", opts=ResourceOptions(depends_on=[b])).made)
        """
    )
    house.world.forget()
    assert house.destroy() == ["delete c", "delete b", "delete a"]
    assert house.world.calls() == ["delete c", "delete b", "delete a"]
    assert house.outputs() == {}
    assert house.names() == []


def test_a_second_destroy_does_nothing(house: House) -> None:
    house.apply(AB)
    house.destroy()
    house.world.forget()
    assert house.destroy() == []
    assert house.world.calls() == []


def test_destroy_does_not_run_the_program(house: House) -> None:
    house.apply(AB)
    house.program('raise RuntimeError("run")')
    assert house.destroy() == ["delete b", "delete a"]


def test_after_destroy_everything_is_made_again(house: House) -> None:
    house.apply(AB)
    house.destroy()
    assert house.apply() == ["create a", "create b"]


# Options


def test_a_protected_resource_that_left_the_program_stops_before_anything(house: House) -> None:
    house.apply('Thing("kept", opts=ResourceOptions(protect=True)); Thing("other", value="1")')
    house.world.forget()
    with pytest.raises(EngineError, match=r"kept .* is protected"):
        house.apply('Thing("other", value="2")')
    assert house.world.calls() == []
    assert sorted(house.names()) == ["kept", "other"]


def test_destroy_refuses_a_protected_resource_before_anything(house: House) -> None:
    house.apply('Thing("kept", opts=ResourceOptions(protect=True)); Thing("other")')
    house.world.forget()
    with pytest.raises(EngineError, match="protected: kept"):
        house.destroy()
    assert house.world.calls() == []
    assert sorted(house.names()) == ["kept", "other"]


def test_protection_ends_when_the_program_says_so(house: House) -> None:
    house.apply('Thing("kept", opts=ResourceOptions(protect=True))')
    assert house.apply('Thing("kept")') == ["same kept"]
    assert house.destroy() == ["delete kept"]


def test_a_protected_resource_is_not_replaced(house: House) -> None:
    program = 'Thing("kept", size="{}", opts=ResourceOptions(protect=True))'
    house.apply(program.format(1))
    with pytest.raises(EngineError, match="kept"):
        house.apply(program.format(2))
    assert house.world.calls("delete") == []


@pytest.mark.parametrize("how", ["left the program", "replaced", "destroyed"])
def test_what_is_retained_is_forgotten_but_not_deleted(house: House, how: str) -> None:
    program = 'Thing("a", size="{}", opts=ResourceOptions(retain_on_delete=True))'
    house.apply(program.format(1))
    match how:
        case "left the program":
            house.apply("")
        case "replaced":
            house.apply(program.format(2))
        case _:
            house.destroy()
    assert house.world.calls("delete") == []
    assert house.names() == (["a"] if how == "replaced" else [])


def test_dependencies_are_recorded(house: House) -> None:
    house.apply(
        """
        a = Thing("a")
        b = Thing("b")
        Thing("c", value=a.made, opts=ResourceOptions(depends_on=[b]))
        """
    )
    urns = {name: house.record(name).urn for name in "abc"}
    assert house.record("c").dependencies == [urns["a"], urns["b"]]
    assert house.record("c").property_dependencies == {"value": [urns["a"]]}
    assert house.record("a").dependencies == []


def test_children_know_their_parents_and_go_with_them(house: House) -> None:
    house.apply(
        """
        box = Box("box")
        Thing("leaf", opts=ResourceOptions(parent=box))
        Thing("other")
        """
    )
    leaf, box = house.record("leaf"), house.record("box")
    assert leaf.parent == box.urn
    assert leaf.urn.endswith("::tests:index:Box$pulumi-python:dynamic/tests:Thing::leaf")
    assert house.record("other").parent == "urn:pulumi:test::proj::pulumi:pulumi:Stack::proj-test"
    assert house.apply('Thing("other")') == ["same other", "delete leaf", "delete box"]
    assert house.world.calls("delete") == ["delete leaf"]


NESTED = """
inner = Box("inner", opts=ResourceOptions(parent=Box("outer")))
Thing("leaf", opts=ResourceOptions(parent=inner))
"""


def test_a_urn_has_the_type_of_the_parent_but_not_of_the_stack(house: House) -> None:
    house.apply(NESTED)
    prefix = "urn:pulumi:test::proj::tests:index:Box"
    assert house.record("outer").urn == f"{prefix}::outer"
    assert house.record("inner").urn == f"{prefix}$tests:index:Box::inner"


def test_a_urn_has_the_types_of_all_ancestors(house: House) -> None:
    house.apply(NESTED)
    types = "tests:index:Box$tests:index:Box$pulumi-python:dynamic/tests:Thing"
    assert house.record("leaf").urn == f"urn:pulumi:test::proj::{types}::leaf"


def test_children_of_two_parents_may_have_one_name(house: House) -> None:
    house.apply(
        """
        class Other(pulumi.ComponentResource):
            def __init__(self, name):
                super().__init__("tests:index:Other", name)
        Thing("leaf", opts=ResourceOptions(parent=Box("box")))
        Thing("leaf", opts=ResourceOptions(parent=Other("other")))
        """
    )
    assert house.world.calls() == ["create leaf", "create leaf"]
    assert house.apply() == ["same leaf", "same leaf"]


def test_two_resources_of_one_name_are_refused(house: House) -> None:
    with pytest.raises(EngineError, match="a"):
        house.apply('Thing("a", value="1"); Thing("a", value="2")')


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ('aliases=[pulumi.Alias(name="old")]', "aliases"),
        ('ignore_changes=["value"]', "ignoreChanges"),
        ('replace_on_changes=["value"]', "replaceOnChanges"),
        ('import_="some-id"', "importId"),
    ],
)
def test_an_option_that_the_engine_lacks_is_refused_by_name(
    house: House, option: str, named: str
) -> None:
    with pytest.raises(EngineError, match=f"a: .*no {named}; use ENGINE=pulumi"):
        house.apply(f'Thing("a", opts=ResourceOptions({option}))')
    assert house.world.calls() == []


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("deleted_with=other", "deletedWith"),
        ("replace_with=[other]", "replace_with"),
        ('replacement_trigger="1"', "replacement_trigger"),
        ('custom_timeouts=pulumi.CustomTimeouts(create="1s")', "customTimeouts"),
        (
            "hooks=pulumi.ResourceHookBinding("
            'before_create=[pulumi.ResourceHook("h", lambda args: None)])',
            "hooks",
        ),
        ("transforms=[lambda args: None]", "transforms"),
    ],
    ids=lambda value: value.partition("=")[0],
)
def test_an_option_that_would_have_no_effect_is_refused_by_name(
    house: House, option: str, named: str
) -> None:
    with pytest.raises(EngineError, match=f"a: .*no {named}; use ENGINE=pulumi"):
        house.apply(f'other = Thing("other"); Thing("a", opts=ResourceOptions({option}))')
    assert house.world.calls() == []


def test_the_programs_delete_before_replace_deletes_first(house: House) -> None:
    program = 'Thing("a", size="{}", opts=ResourceOptions(delete_before_replace=True))'
    house.apply(program.format(1))
    house.world.forget()
    house.apply(program.format(2))
    assert house.world.calls() == ["delete a", "create a"]


# Outputs of the stack


def test_the_stacks_outputs_are_those_of_the_last_apply(house: House) -> None:
    house.apply('pulumi.export("a", 1); pulumi.export("b", {"c": ["d"]})')
    assert house.outputs() == {"a": 1.0, "b": {"c": ["d"]}}
    house.apply('pulumi.export("z", "new")')
    assert house.outputs() == {"z": "new"}


def test_a_components_outputs_are_not_the_stacks(house: House) -> None:
    house.apply('Box("box").register_outputs({"not": "mine"}); pulumi.export("mine", "yes")')
    assert house.outputs() == {"mine": "yes"}


def test_an_assertion_inside_apply_fails_the_run(house: House) -> None:
    """The canary: if this passes without an error, every assertion in an apply is lost."""
    program = """
        def look(value):
            assert value == "something else", "the canary sings"
        Thing("a", value="1").made.apply(look)
        """
    with pytest.raises(AssertionError, match="the canary sings"):
        house.apply(program)


def test_the_operations_work_on_any_path(tmp_path: Path) -> None:
    root = tmp_path / "a folder with spaces, ä and 'quotes'"
    root.mkdir()
    house = House(root)
    assert house.apply(AB) == ["create a", "create b"]
    assert house.destroy() == ["delete b", "delete a"]
