"""What is left when something fails, and that the next run goes on from there."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from engine_house import House

from engine.errors import EngineError

ROOT = Path(__file__).parents[2]


# check


def test_a_failing_check_stops_before_anything(house: House) -> None:
    house.apply('Thing("old"); Thing("a", value="1")')
    before = house.state_file.read_bytes()
    house.world.forget()
    with pytest.raises(EngineError, match=r"z .*must not be bad"):
        house.apply('Thing("new"); Thing("a", value="2"); Thing("z", value="bad")')
    assert house.world.calls() == []
    assert house.state_file.read_bytes() == before


def test_a_check_that_fails_only_when_values_are_known_stops_there(house: House) -> None:
    with pytest.raises(EngineError, match=r"b \(Thing\), value: must not be bad"):
        house.apply(
            'a = Thing("a"); b = Thing("b", value=a.made.apply(lambda _: "bad"));'
            ' Thing("c", value=b.made)'
        )
    assert house.world.calls() == ["create a"]
    assert house.names() == ["a"]


# create


def test_a_failed_create_is_not_recorded_and_is_tried_again(house: House) -> None:
    program = 'a = Thing("a"); b = Thing("b", value=a.made); Thing("c", value=b.made)'
    house.world.fail("create b")
    with pytest.raises(EngineError, match=r"^b \(Thing\): the world cannot create b$"):
        house.apply(program)
    assert house.names() == ["a"]
    house.world.heal()
    house.world.forget()
    assert house.apply() == ["same a", "create b", "create c"]


def test_the_error_keeps_its_cause(house: House) -> None:
    house.world.fail("create a")
    with pytest.raises(EngineError) as caught:
        house.apply('Thing("a")')
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_nothing_is_deleted_after_a_failure(house: House) -> None:
    house.apply('Thing("gone"); Thing("replaced", size="1")')
    house.world.forget()
    house.world.fail("create new")
    program = 'r = Thing("replaced", size="2"); Thing("new", value=r.made)'
    with pytest.raises(EngineError, match="create new"):
        house.apply(program)
    assert house.world.calls() == ["create replaced", "create new"]
    assert sorted(house.names()) == ["gone", "replaced", "replaced"]


def test_pending_deletes_are_carried_out_by_the_next_good_apply(house: House) -> None:
    test_nothing_is_deleted_after_a_failure(house)
    house.world.heal()
    house.world.forget()
    steps = house.apply()
    assert steps[:2] == ["same replaced", "create new"]
    assert sorted(steps[2:]) == ["delete gone", "delete replaced"]
    assert house.world.last("delete")["id"] in ("id-replaced-1", "id-gone-None")
    assert sorted(house.names()) == ["new", "replaced"]
    assert house.record("replaced").id == "id-replaced-2"
    assert house.apply() == ["same replaced", "same new"]


def test_pending_deletes_are_carried_out_by_destroy(house: House) -> None:
    test_nothing_is_deleted_after_a_failure(house)
    house.world.forget()
    house.destroy()
    assert sorted(house.world.calls()) == ["delete gone", "delete replaced", "delete replaced"]
    assert house.names() == []


def test_a_preview_shows_pending_deletes(house: House) -> None:
    test_nothing_is_deleted_after_a_failure(house)
    house.world.heal()
    assert house.preview().count("delete replaced") == 1


# update and replace


def test_a_failed_update_keeps_the_old_state_and_is_tried_again(house: House) -> None:
    house.apply('Thing("a", value="1")')
    before = house.state_file.read_bytes()
    house.world.fail("update a")
    with pytest.raises(EngineError, match=r"a \(Thing\): the world cannot update a"):
        house.apply('Thing("a", value="2")')
    assert house.state_file.read_bytes() == before
    house.world.heal()
    assert house.apply() == ["update a"]


def test_a_replacement_that_fails_leaves_the_old_one_current(house: House) -> None:
    house.apply('a = Thing("a", size="1"); Thing("b", value=a.id)')
    before = house.state_file.read_bytes()
    house.world.forget()
    house.world.fail("create a")
    with pytest.raises(EngineError, match="cannot create a"):
        house.apply('a = Thing("a", size="2"); Thing("b", value=a.id)')
    assert house.world.calls() == ["create a"]
    assert house.record("a").id == "id-a-1"
    assert house.state_file.read_bytes() == before
    house.world.heal()
    assert house.apply() == ["replace a", "update b", "delete a"]


def test_a_replacement_whose_dependent_fails_does_not_delete_the_old_one(house: House) -> None:
    program = 'a = Thing("a", size="{0}"); Thing("b", value=a.id)'
    house.apply(program.format(1))
    house.world.forget()
    house.world.fail("update b")
    with pytest.raises(EngineError, match="cannot update b"):
        house.apply(program.format(2))
    assert house.world.calls() == ["create a", "update b"]
    assert [(r.id, r.pending_delete) for r in house.records() if r.name == "a"] == [
        ("id-a-1", True),
        ("id-a-2", False),
    ]
    house.world.heal()
    assert house.apply() == ["same a", "update b", "delete a"]
    assert house.world.last("delete")["id"] == "id-a-1"


def test_going_back_while_the_old_one_is_pending_makes_a_third(house: House) -> None:
    program = 'a = Thing("a", size="{0}"); Thing("b", value=a.id)'
    house.apply(program.format(1))
    house.world.fail("update b")
    with pytest.raises(EngineError, match="cannot update b"):
        house.apply(program.format(2))
    house.world.heal()
    steps = house.apply(program.format(1))
    assert steps == ["replace a", "same b", "delete a", "delete a"]
    assert sorted(house.names()) == ["a", "b"]


def test_after_delete_before_replace_a_failed_create_leaves_nothing_and_is_tried_again(
    house: House,
) -> None:
    house.apply('Thing("a", size="1", before=True)')
    house.world.forget()
    house.world.fail("create a")
    with pytest.raises(EngineError, match="cannot create a"):
        house.apply('Thing("a", size="2", before=True)')
    assert house.world.calls() == ["delete a", "create a"]
    assert house.names() == []
    house.world.heal()
    assert house.apply() == ["create a"]


# delete


def test_a_failed_delete_keeps_its_record_and_is_tried_again(house: House) -> None:
    house.apply('a = Thing("a"); Thing("b", value=a.made)')
    house.world.fail("delete a")
    with pytest.raises(EngineError, match=r"a \(Thing\): the world cannot delete a"):
        house.apply("")
    assert house.names() == ["a"]
    house.world.heal()
    assert house.apply() == ["delete a"]


def test_a_failed_destroy_goes_on_from_there(house: House) -> None:
    house.apply('a = Thing("a"); b = Thing("b", value=a.made); Thing("c", value=b.made)')
    house.world.fail("delete b")
    with pytest.raises(EngineError, match="cannot delete b"):
        house.destroy()
    assert house.names() == ["a", "b"]
    house.world.heal()
    assert house.destroy() == ["delete b", "delete a"]


def test_a_provider_whose_module_is_gone_is_named_with_its_resource(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (house.root / "engine_shortlived.py").write_text(
        "from engine_world import ThingProvider\nclass Provider(ThingProvider): ...\n"
    )
    monkeypatch.setattr(sys, "path", [str(house.root), *sys.path])
    house.apply(
        'import engine_shortlived\nThing("a", provider=engine_shortlived.Provider(), value="1")'
    )
    monkeypatch.undo()
    monkeypatch.delitem(sys.modules, "engine_shortlived")
    with pytest.raises(EngineError, match=r"a \(Thing\): No module named 'engine_shortlived'"):
        house.destroy()
    assert house.names() == ["a"]


# The program


def test_an_exception_in_the_program_is_the_runs(house: House) -> None:
    house.apply('Thing("a", value="1"); Thing("gone")')
    house.world.forget()
    with pytest.raises(ZeroDivisionError):
        house.apply('Thing("a", value="2"); 1 / 0')
    assert house.world.calls() == []
    assert sorted(house.names()) == ["a", "gone"]


def test_an_exception_that_only_the_apply_meets_deletes_nothing(house: House) -> None:
    house.apply('Thing("gone"); pulumi.export("kept", "yes")')
    house.world.forget()
    with pytest.raises(ZeroDivisionError):
        house.apply("pulumi.runtime.is_dry_run() or 1 / 0")
    assert house.world.calls() == []
    assert house.names() == ["gone"]


def test_an_exception_that_only_the_apply_meets_keeps_the_outputs(house: House) -> None:
    house.apply('pulumi.export("kept", "yes")')
    with pytest.raises(ZeroDivisionError):
        house.apply('pulumi.runtime.is_dry_run() or 1 / 0; pulumi.export("kept", "yes")')
    assert house.outputs() == {"kept": "yes"}


def test_a_failed_resource_keeps_the_stacks_outputs(house: House) -> None:
    program = 'pulumi.export("made", Thing("a", value="{}").made)'
    house.apply(program.format(1))
    house.world.fail("update a")
    with pytest.raises(EngineError, match="cannot update a"):
        house.apply(program.format(2))
    assert house.outputs() == {"made": "made of 1"}


def test_a_program_that_does_not_parse_is_an_error(house: House) -> None:
    with pytest.raises(SyntaxError):
        house.apply("this is no Python")


def test_the_next_run_in_the_same_process_is_not_affected_by_a_failed_one(house: House) -> None:
    house.world.fail("create a")
    with pytest.raises(EngineError):
        house.apply('Thing("b", value=Thing("a").made); pulumi.export("x", "1")')
    house.world.heal()
    assert house.apply() == ["create a", "create b"]


# A run in a process of its own


def child(house: House) -> "subprocess.Popen[str]":
    """Apply the house's program in another process."""
    code = (
        "import sys; from pathlib import Path; from engine_house import House\n"
        "House(Path(sys.argv[1])).apply()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(house.root)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(house: House, call: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 30
    while call not in house.world.calls():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, f"{call} did not happen"
        time.sleep(0.01)


def kill_during(house: House, call: str) -> None:
    house.world.hang(call)
    process = child(house)
    wait_for(house, call, process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    house.world.heal()
    house.world.forget()


def test_a_run_killed_in_the_middle_of_a_create_is_resumed(house: House) -> None:
    house.program('a = Thing("a"); b = Thing("b", value=a.made); Thing("c", value=b.made)')
    kill_during(house, "create b")
    assert house.names() == ["a"]
    assert house.apply() == ["same a", "create b", "create c"]
    assert house.world.calls() == ["create b", "create c"]


def test_a_run_killed_in_the_middle_of_a_replacement_is_resumed(house: House) -> None:
    house.apply('a = Thing("a", size="1"); Thing("b", value=a.id)')
    house.world.forget()
    house.program('a = Thing("a", size="2"); Thing("b", value=a.id)')
    kill_during(house, "update b")
    assert house.apply() == ["same a", "update b", "delete a"]


def test_one_failure_is_one_error_not_one_for_everything_that_waited(house: House) -> None:
    house.world.fail("create a")
    house.program(
        """
        a = Thing("a"); b = Thing("b", value=a.made); c = Thing("c", value=b.made)
        pulumi.export("x", c.made); pulumi.export("y", Output.concat(a.made, b.made))
        """
    )
    _, errors = child(house).communicate(timeout=60)
    assert "the world cannot create a" in errors
    assert "never retrieved" not in errors
    assert "unhandled exception" not in errors
