"""Secrets: sealed in the state file, masked in what is shown, clear for whoever may use them."""

from pathlib import Path

import pytest
from engine_house import PASSPHRASE, House

from engine.state import State
from engine.terminal import StepPrinter

HUSH = "hush-hush-4711"

INPUT = f'Thing("a", value=Output.secret("{HUSH}"))'
NESTED = f'Thing("a", value={{"deep": [Output.secret("{HUSH}"), "plain"]}})'
OUTPUT = f'Thing("a", value="{HUSH}", opts=ResourceOptions(additional_secret_outputs=["value"]))'
CONFIG = 'Thing("a", value=pulumi.Config().require_secret("token"))'


@pytest.fixture
def house(house: House) -> House:
    house.config["proj:token"] = HUSH
    return house


def printed(house: House, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    for planned in (True, False):
        printer = StepPrinter(planned=planned)
        for step in house.reported:
            printer(step)
    return capsys.readouterr().out


@pytest.mark.parametrize("program", [INPUT, NESTED, CONFIG], ids=["input", "nested", "config"])
def test_a_secret_is_never_in_the_state_file_or_in_a_step(
    house: House, capsys: pytest.CaptureFixture[str], program: str
) -> None:
    for operation in (house.preview, house.apply):
        operation(program + '; Thing("b")')
        assert HUSH not in repr([step.changed for step in house.reported])
        assert "value: [secret]" in printed(house, capsys) or operation == house.apply
        assert HUSH not in printed(house, capsys)
    assert "made of" in house.state_file.read_text()
    assert HUSH not in repr(house.record("a").inputs)
    assert HUSH not in str(house.record("a").outputs["value"])


def test_an_output_that_the_program_declares_secret_is_sealed(house: House) -> None:
    house.apply(
        'Thing("a", value="1", opts=ResourceOptions(additional_secret_outputs=["made", "value"]))'
    )
    stored = house.record("a")
    assert stored.outputs["made"].startswith("secret:v1:")
    assert stored.inputs["value"].startswith("secret:v1:")
    assert house.state().records[0].outputs["made"] == "made of 1"


def test_a_changed_secret_is_not_shown(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.apply('Thing("a", value="plain")')
    house.apply(INPUT)
    assert house.reported[0].changed == {"value": "[secret]"}
    assert HUSH not in printed(house, capsys)
    assert HUSH not in repr(house.record("a").inputs)


def test_a_provider_gets_secrets_in_clear(house: House) -> None:
    house.apply(INPUT)
    assert house.world.last("create")["props"]["value"] == HUSH
    house.apply(f'Thing("a", value=Output.secret("{HUSH} 2"))')
    assert house.world.last("update")["olds"]["value"] == HUSH
    assert house.world.last("update")["news"]["value"] == f"{HUSH} 2"
    house.destroy()
    assert house.world.last("delete")["props"]["value"] == f"{HUSH} 2"


def test_an_unchanged_secret_is_no_change(house: House) -> None:
    program = f'Thing("a", value=Output.secret("{HUSH}"), provider=UndecidedProvider())'
    house.apply(program)
    before = house.state_file.read_bytes()
    assert house.apply() == ["same a"]
    assert house.preview() == ["same a"]
    assert len(before) == len(house.state_file.read_bytes())


@pytest.mark.parametrize(
    "export",
    [
        f'Output.secret("{HUSH}")',
        f"{INPUT}.value",
        f'Output.concat("", {INPUT}.value)',
        f"{OUTPUT}.value",
        f'Thing("b", value={INPUT}.value).value',
    ],
)
def test_a_secret_stays_one_on_its_way_to_the_stacks_outputs(house: House, export: str) -> None:
    house.apply(f'pulumi.export("key", {export}); pulumi.export("plain", "seen")')
    stored = house.stored()
    assert stored["secret_outputs"] == ["key"]
    assert stored["outputs"]["key"].startswith("secret:v1:")
    assert stored["outputs"]["plain"] == "seen"
    assert HUSH not in repr(stored["outputs"])
    assert house.state().outputs == {"key": HUSH, "plain": "seen"}


def test_secret_objects_come_back_whole(house: House) -> None:
    house.apply('pulumi.export("key", Output.secret({"a": [1.5, "b", None, True]}))')
    assert house.state().outputs == {"key": {"a": [1.5, "b", None, True]}}


def test_a_secret_in_a_preview_may_be_unknown(house: House) -> None:
    step = house.planned('a = Thing("a"); Thing("b", value=Output.secret(a.made))')["b"]
    assert step.changed["value"] == "[secret]"


def test_a_plain_value_may_look_like_a_sealed_one(tmp_path: Path) -> None:
    state = State(tmp_path / "s.json", PASSPHRASE)
    state.outputs = {"text": "secret:v1:not at all"}
    state.save()
    assert State(tmp_path / "s.json", PASSPHRASE).outputs == state.outputs
