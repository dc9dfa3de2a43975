"""What a preview shows, and that it touches nothing."""

import pytest
from engine_house import House

from engine.embedded import Step
from engine.errors import EngineError
from engine.terminal import StepPrinter

FOREIGN = 'pulumi.CustomResource("azure-native:resources:ResourceGroup", "group", {"a": "1"})'
WITH_PROVIDER = """
azure = pulumi.ProviderResource("azure-native", "azure", {"location": "x"})
group = pulumi.CustomResource("azure-native:resources:ResourceGroup", "group",
                              {"a": "1"}, ResourceOptions(provider=azure))
"""


def test_a_first_preview_creates_nothing(house: House) -> None:
    assert house.preview('Thing("a", value="1")') == ["create a"]
    assert house.world.calls() == []
    assert not house.state_file.exists()


def test_a_preview_of_every_kind_of_change_leaves_state_and_world_alone(house: House) -> None:
    house.apply(
        """
        Thing("updated", value="1"); Thing("replaced", size="1"); Thing("gone"); Thing("same")
        pulumi.export("version", "first")
        """
    )
    before = house.state_file.read_bytes()
    house.world.forget()
    steps = house.preview(
        """
        Thing("new"); Thing("updated", value="2"); Thing("replaced", size="2"); Thing("same")
        pulumi.export("version", "second")
        """
    )
    assert sorted(steps) == [
        "create new",
        "delete gone",
        "replace replaced",
        "same same",
        "update updated",
    ]
    assert steps[-1] == "delete gone"
    assert house.world.calls() == []
    assert house.state_file.read_bytes() == before


def test_a_preview_shows_the_inputs_that_differ_and_no_others(house: House) -> None:
    house.apply('Thing("a", value="1", size="1")')
    steps = house.planned('Thing("a", value="2", size="1")')
    assert steps["a"].changed == {"value": "2"}


def test_a_preview_shows_every_input_of_what_is_new(house: House) -> None:
    changed = house.planned('Thing("a", value="1")')["a"].changed
    assert changed == {
        "name": "a",
        "value": "1",
        "world": str(house.world.path),
        "checked": "checked a",
    }


def test_what_is_not_known_yet_is_said_to_be_unknown(house: House) -> None:
    step = house.planned(
        'a = Thing("a"); Thing("b", value={"deep": [a.made, "known"]}, other=a.id)'
    )["b"]
    assert step.changed["value"] == {"deep": ["[unknown]", "known"]}
    assert step.changed["other"] == "[unknown]"


def test_an_unknown_reaches_the_provider_as_unknown(house: House) -> None:
    house.preview('a = Thing("a"); Thing("b", value=a.made)')
    assert house.world.last("check")["news"]["value"] == "(unknown)"


def test_an_unknown_flows_on_to_dependents_and_no_apply_runs(house: House) -> None:
    program = """
        a = Thing("a")
        def seen(value):
            (__import__("pathlib").Path(__file__).with_name("seen")).write_text(value)
            return value
        text = Output.concat("x", a.made)
        b = Thing("b", value=text)
        c = Thing("c", value=b.made.apply(seen))
        pulumi.export("out", Output.all(a.made, c.made))
        """
    steps = house.planned(program)
    assert steps["b"].changed["value"] == "[unknown]"
    assert steps["c"].changed["value"] == "[unknown]"
    assert not (house.root / "seen").exists()
    house.apply()
    assert (house.root / "seen").read_text() == "made of xmade of None"


def test_what_stays_as_it_is_is_known_to_its_dependents(house: House) -> None:
    house.apply('a = Thing("a", value="1")')
    step = house.planned('a = Thing("a", value="1"); Thing("b", value=a.made, other=a.id)')["b"]
    assert step.changed["value"] == "made of 1"
    assert step.changed["other"] == "id-a-None"


def test_inputs_are_known_and_outputs_unknown_of_what_will_change(house: House) -> None:
    program = 'a = Thing("a", value="{}"); Thing("b", value=a.value, other=a.made)'
    house.apply(program.format(1))
    changed = house.planned(program.format(2))["b"].changed
    assert changed["value"] == "2"
    assert changed["other"] == "[unknown]"


def test_the_id_of_what_will_be_replaced_is_unknown(house: House) -> None:
    program = 'a = Thing("a", size="{}"); Thing("b", value=a.id)'
    house.apply(program.format(1))
    assert house.planned(program.format(2))["b"].changed["value"] == "[unknown]"


def test_an_input_that_check_adds_is_known_to_dependents(house: House) -> None:
    step = house.planned('a = Thing("a"); Thing("b", value=a.checked)')["b"]
    assert step.changed["value"] == "checked a"


def test_a_failing_check_fails_the_preview_and_names_resource_and_input(house: House) -> None:
    with pytest.raises(EngineError, match=r"^a \(Thing\), value: must not be bad$"):
        house.preview('Thing("a", value="bad")')


# Resources of other providers


@pytest.mark.parametrize("program", [FOREIGN, WITH_PROVIDER])
def test_a_foreign_resource_is_shown_in_a_preview(house: House, program: str) -> None:
    step = house.planned(program)["group"]
    assert step.operation == "foreign"
    assert step.changed == {"a": "1"}


def test_a_foreign_resources_outputs_are_unknown_to_dependents(house: House) -> None:
    program = f'{WITH_PROVIDER}\nThing("b", value=Output.concat("id ", group.id))'
    assert house.planned(program)["b"].changed["value"] == "[unknown]"


@pytest.mark.parametrize("program", [FOREIGN, WITH_PROVIDER])
def test_apply_refuses_foreign_resources_before_anything_is_touched(
    house: House, program: str
) -> None:
    house.apply('Thing("old"); Thing("a", value="1")')
    before = house.state_file.read_bytes()
    house.world.forget()
    with pytest.raises(EngineError, match=r"they need the Pulumi CLI.*ENGINE=pulumi.*Nothing was"):
        house.apply(f'Thing("a", value="2"); Thing("new")\n{program}')
    assert house.world.calls() == []
    assert house.state_file.read_bytes() == before


def test_the_refusal_names_the_resource(house: House) -> None:
    with pytest.raises(EngineError, match=r"azure-native:resources:ResourceGroup \('group'\)"):
        house.apply(FOREIGN)


def test_a_secret_input_of_a_foreign_resource_is_not_shown(house: House) -> None:
    program = FOREIGN.replace('"1"', 'Output.secret("hush hush")')
    assert house.planned(program)["group"].changed == {"a": "[secret]"}


LOOKUPS = {
    "function": 'pulumi.runtime.invoke_output("azure-native:x:getY", {"a": "1"})["answer"]',
    "resource": 'Foreign("shared", "some-id").made',
    "stack": 'pulumi.StackReference("shared").require_output("version")',
}
FOREIGN_CLASS = """
class Foreign(pulumi.CustomResource):
    made: pulumi.Output[str]
    def __init__(self, name, id):
        super().__init__("some:index:Thing", name, {"made": None}, ResourceOptions(id=id))
"""


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_what_only_others_can_look_up_is_unknown_in_a_preview(house: House, lookup: str) -> None:
    steps = house.planned(f'{FOREIGN_CLASS}\nThing("b", value={LOOKUPS[lookup]})')
    assert steps["b"].changed["value"] == "[unknown]"


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_apply_refuses_lookups_before_anything_is_touched(house: House, lookup: str) -> None:
    with pytest.raises(EngineError, match=r"of other providers.*Nothing was"):
        house.apply(f'{FOREIGN_CLASS}\nThing("a")\nThing("b", value={LOOKUPS[lookup]})')
    assert house.world.calls() == []


# What is printed


def printed(steps: dict[str, Step], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    for step in steps.values():
        StepPrinter(planned=True)(step)
    return capsys.readouterr().out


def test_a_printed_preview_has_a_line_a_resource_and_one_an_input(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    out = printed(house.planned(f'a = Thing("a"); Thing("b", value=a.made)\n{FOREIGN}'), capsys)
    assert f" + {'b':<26} {'Thing':<28} create\n" in out
    assert "       value: [unknown]\n" in out
    assert f" + {'group':<26} {'ResourceGroup':<28} by azure-native\n" in out
