"""The floor, and a whole run in small: the real process, the real floor, every figure."""

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.models import Answer
from contract.employee import EXAMPLE
from contract.release import CLASSIFIER
from image import packages
from tests import bench
from tests.app.app_bundles import answer, record, write_bundle
from tests.app.app_client import Client
from tests.bench_api.client import ClientError
from tests.bench_api.figures import TARGETS, Figure
from tests.bench_api.floor import create_floor
from tests.bench_api.measure import Effort, check, image_size, measure
from tests.bench_api.servers import serve_api, serve_floor
from tests.bench_api.traffic import Traffic, draw

SMALL = Effort(turns=2, singles=20, burst=40, batches=2)


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return draw("a key")


@pytest.fixture
def constant() -> Answer:
    drift: dict[str, object] = {"status": "ok", "records": 60, "features": []}
    predictions = [answer(record())]
    return Answer.model_validate({"release": "7", "predictions": predictions, "drift": drift})


@pytest.fixture
def floor(constant: Answer) -> Client:
    return Client(create_floor(constant))


def _sent(request: bytes) -> list[dict[str, Any]]:
    return json.loads(request.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("count", [1, 3])
def test_the_floor_answers_a_full_constant_for_each_record(
    floor: Client, constant: Answer, count: int
) -> None:
    response = floor.post("/predict", json=[dict(EXAMPLE)] * count)

    assert response.status_code == 200
    expected = json.loads(constant.model_dump_json())
    assert response.json() == {**expected, "predictions": expected["predictions"] * count}


@pytest.mark.parametrize("change", [{"Age": "41"}, {"Age": 17}, {"OverTime": "yes"}, {"More": 1}])
def test_the_floor_validates(floor: Client, change: dict[str, Any]) -> None:
    response = floor.post("/predict", json=[dict(EXAMPLE), {**EXAMPLE, **change}])

    assert response.status_code == 422


def test_the_requests_are_real_records_and_differ(traffic: Traffic) -> None:
    assert len(set(traffic.singles)) == len(traffic.singles) == 1_470
    assert len(set(traffic.batches)) == len(traffic.batches)
    rows = {json.dumps(_sent(single)[0], sort_keys=True) for single in traffic.singles}
    for batch in traffic.batches[:2]:
        drawn = [json.dumps(row, sort_keys=True) for row in _sent(batch)]
        assert len(set(drawn)) == len(drawn) == 1_000
        assert rows.issuperset(drawn)


def test_requests_are_taken_in_turn(traffic: Traffic) -> None:
    singles = traffic.singles
    assert traffic.take_singles(3, 1_469) == [singles[-1], *singles[:2]]
    assert len(traffic.take_batches(50, 40)) == 50


def test_a_run_measures_every_figure(tmp_path: Path) -> None:
    bundle = tmp_path / "release"
    write_bundle(bundle)
    lines: list[str] = []
    missing = Figure.missing("site_packages", "not asked for here")
    # What other tests keep, such as a browser.
    before = {child.pid for child in psutil.Process().children()}

    found = measure(
        bundle, tmp_path, rounds=2, effort=SMALL, image=lambda: missing, progress=lines.append
    )

    assert lines == ["round 1 of 2 …", "round 2 of 2 …"]
    figures = {figure.target.name: figure for figure in found.figures}
    assert list(figures) == list(TARGETS)
    *measured, last = found.figures
    assert last == missing
    assert all(len(figure.samples) == 2 for figure in measured)
    for figure in (figure for figure in measured if figure.parts):
        own, reference = figure.parts.values()
        assert min(own + reference) > 0
        assert figure.samples == tuple(a / b for a, b in zip(own, reference, strict=True))
    assert min(figures["p99_1000_records"].samples) >= 1
    assert min(figures["resident_memory"].samples) > 20
    left = {child.pid for child in psutil.Process().children()} - before
    assert not left, "a process is left"


def test_answers_that_are_too_many_are_no_measurement(
    constant: Answer, traffic: Traffic, tmp_path: Path
) -> None:
    two = constant.model_copy(update={"predictions": constant.predictions * 2})
    with (
        serve_floor(two.model_dump_json().encode(), tmp_path, None) as floor,
        pytest.raises(ClientError, match="2 predictions for 1 records"),
    ):
        check(floor.address, traffic)


def test_a_process_that_does_not_start_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ClientError, match="ended with status 2: error: RELEASE_DIR"),
        serve_api(tmp_path / "absent", tmp_path, None),
    ):
        pass


def test_what_cannot_be_measured_ends_with_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(folder: Path, name: str) -> None:
        write_bundle(folder / "release")
        (folder / "release" / CLASSIFIER).write_text("{}")

    monkeypatch.setattr(bench, "train", train)

    assert bench.api_rows(1) == 1
    assert "not measured: the process ended with status 2" in capsys.readouterr().out


def test_the_size_of_the_image_is_that_of_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def install(_requirements: Path, folder: Path) -> None:
        (folder / "module.py").write_bytes(b"x" * 2_000_000)

    def failing(_requirements: Path, _folder: Path) -> None:
        raise packages.InstallError("no wheel to be had")

    monkeypatch.setattr(packages, "install", install)
    assert image_size() == Figure.measured("site_packages", [2.0])
    monkeypatch.setattr(packages, "install", failing)
    assert (image_size().reason, image_size().verdict) == ("no wheel to be had", "not measured")
