"""The gateway add-on from one `up` to the next, on the embedded engine."""

from collections.abc import Generator
from pathlib import Path

import pytest
from cluster_arm import CLUSTER_ID, TOKEN, Arm, running

from engine import embedded
from engine.embedded import Step
from engine.project import Project
from engine.state import State
from infra.lifecycle import gateway_addon

PROGRAM = f"""\
from infra.gateway_addon import GatewayAddon, GatewayAddonArgs
GatewayAddon("gateway", GatewayAddonArgs(cluster_id={CLUSTER_ID!r}))
"""


@pytest.fixture
def arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Arm]:
    for variable in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(gateway_addon, "_INTERVAL_SECONDS", 0.0)
    (tmp_path / "__main__.py").write_text(PROGRAM)
    arm = Arm()
    with running(arm, tmp_path / "azure") as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield arm


def run(folder: Path, operation: str) -> str:
    """Run it as a process of its own would; return what was done to the add-on."""

    def report(_: Step) -> None:
        """The steps come back all the same."""

    project = Project(name="proj", stack="test", root=folder, config={})
    state = State(folder / "state.json", "only tests know it")
    steps = getattr(embedded, operation)(project, state, report)
    (step,) = [step for step in steps if step.record.name == "gateway-managed"]
    return step.operation


def test_an_up_switches_it_on_and_the_next_one_only_looks(tmp_path: Path, arm: Arm) -> None:
    assert run(tmp_path, "apply") == "create"
    assert len(arm.puts) == 1
    asked = len(arm.asked)
    assert run(tmp_path, "apply") == "same"
    assert {each.method for each in arm.asked[asked:]} == {"GET"}


def test_an_up_after_something_switched_it_off_switches_it_on_again(
    tmp_path: Path, arm: Arm
) -> None:
    run(tmp_path, "apply")
    assert arm.cluster is not None
    del arm.cluster["properties"]["ingressProfile"]
    assert run(tmp_path, "preview") == "update"
    assert len(arm.puts) == 1
    assert run(tmp_path, "apply") == "update"
    assert len(arm.puts) == 2
    assert run(tmp_path, "apply") == "same"


def test_a_first_preview_asks_nothing(tmp_path: Path, arm: Arm) -> None:
    assert run(tmp_path, "preview") == "create"
    assert not arm.asked


def test_the_state_holds_no_login(tmp_path: Path, arm: Arm) -> None:
    run(tmp_path, "apply")
    assert arm.puts[0].authorization == f"Bearer {TOKEN}"
    assert TOKEN not in (tmp_path / "state.json").read_text()


def test_a_destroy_leaves_the_cluster_alone(tmp_path: Path, arm: Arm) -> None:
    run(tmp_path, "apply")
    asked = len(arm.asked)
    assert run(tmp_path, "destroy") == "delete"
    assert len(arm.asked) == asked
