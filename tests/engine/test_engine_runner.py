"""The embedded engine as the command line uses it."""

import pytest
from engine_house import House

from contract.dataset import DatasetError
from engine.errors import UnexpectedError, as_engine_error
from engine.runner import EmbeddedRunner
from infra.lifecycle.errors import GateError
from stacks import SettingsError

PROGRAM = """
a = Thing("a", value="1")
pulumi.export("made", a.made)
pulumi.export("key", Output.secret("hush"))
"""


def test_up_prints_its_steps_and_returns_the_outputs_in_clear(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.program(PROGRAM)
    runner = EmbeddedRunner(house.project)
    assert runner.outputs() == {}
    assert runner.up() == {"made": "made of 1", "key": "hush"}
    out = capsys.readouterr().out
    assert " + a          Thing          creating …\n" in out
    assert out.endswith("1 create\n")
    assert "hush" not in out
    assert EmbeddedRunner(house.project).outputs() == {"made": "made of 1", "key": "hush"}


def test_preview_prints_the_plan_and_down_undoes_everything(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.program(PROGRAM)
    EmbeddedRunner(house.project).preview()
    assert "       value: 1\n" in capsys.readouterr().out
    assert house.world.calls() == []
    EmbeddedRunner(house.project).up()
    EmbeddedRunner(house.project).down()
    assert house.world.calls() == ["create a", "delete a"]
    assert EmbeddedRunner(house.project).outputs() == {}
    EmbeddedRunner(house.project).down()
    assert capsys.readouterr().out.endswith("nothing to do\n")


def test_a_programs_own_error_is_unexpected_and_the_cause(house: House) -> None:
    house.program('raise ValueError("my mistake")')
    with pytest.raises(UnexpectedError, match="my mistake") as caught:
        EmbeddedRunner(house.project).up()
    assert isinstance(caught.value.__cause__, ValueError)


def test_everything_is_written_below_the_projects_folder(house: House) -> None:
    house.program(PROGRAM)
    EmbeddedRunner(house.project).up()
    made = {path.relative_to(house.root).as_posix() for path in house.root.rglob("*")}
    assert made == {
        ".local",
        ".local/embedded",
        ".local/embedded/test.json",
        ".local/passphrase",
        "__main__.py",
        "world.jsonl",
    }


EXPECTED = [GateError("it fails"), DatasetError("it fails"), SettingsError("it fails")]


@pytest.mark.parametrize("error", EXPECTED, ids=lambda error: type(error).__name__)
def test_what_a_person_can_act_on_needs_no_traceback(error: Exception) -> None:
    shown = as_engine_error(error, "gate (ReleaseGate)")
    assert not isinstance(shown, UnexpectedError)
    assert str(shown) == "gate (ReleaseGate): it fails"


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), OSError("x")], ids=repr)
def test_a_mistake_of_the_code_needs_one(error: Exception) -> None:
    assert isinstance(as_engine_error(error), UnexpectedError)
    assert str(as_engine_error(error)) == str(error)
