"""`python -m monitoring`: one page over a real log's lines, looked at in a real browser."""

# pandas and scikit-learn are typed in part (2026-11).
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from monitoring_lines import RELEASE, Model, request, requests
from monitoring_page import TILES, lay_out_release, run, verdicts

from contract.release import DRIFT
from monitoring.plots import PLOTS

WIDTH, HEIGHT = 1_400, 1_500
END = datetime(2026, 11, 27, 18, tzinfo=UTC)

Lines = list[dict[str, Any]]


@pytest.fixture(scope="session")
def calm(model: Model, features: pd.DataFrame) -> Lines:
    """Twelve hours of records as in the table."""
    return traffic(model, features, np.random.default_rng(1))


@pytest.fixture(scope="session")
def stormy(model: Model, features: pd.DataFrame) -> Lines:
    """The same, of people who are older and all work overtime; then requests fail, slowly."""
    changed = features.assign(Age=np.minimum(features["Age"] + 8, 80), OverTime="Yes")
    failed: dict[str, Any] = {"status": 500, "duration_ms": 700.0, "records": 0}
    failures = [request(END - timedelta(seconds=10 * second), **failed) for second in range(30)]
    return traffic(model, changed, np.random.default_rng(1)) + failures


def traffic(model: Model, records: pd.DataFrame, random: np.random.Generator) -> Lines:
    lines: Lines = []
    for minutes in range(0, 720, 10):
        scored = model.score(records.iloc[random.integers(len(records), size=20)])
        time = END - timedelta(minutes=minutes)
        lines += [model.window(time, scored), *requests(time, scored)]
    for line in lines:
        if line["event"] == "request":
            line["duration_ms"] = round(float(random.lognormal(0.5, 0.5)), 3)
    return lines


def write(folder: Path, model: Model, lines: Sequence[dict[str, Any]]) -> None:
    """Lay out what `make up` leaves: the release and the log, an old line and a cut one in it."""
    (folder / "logs").mkdir(parents=True)
    old = json.dumps({"time": "2026-11-01T00:00:00+00:00", "event": "request", "status": 500})
    other = json.dumps({"time": "2026-11-27T18:00:00+00:00", "event": "stopped", "schema": 1})
    text = "\n".join([old, *(json.dumps(line) for line in lines), other, '{"time": "2026-11'])
    (folder / "logs" / "api.log").write_text(text)
    lay_out_release(folder, model)


@pytest.fixture(scope="session")
def pages(
    tmp_path_factory: pytest.TempPathFactory, model: Model, calm: Lines, stormy: Lines
) -> dict[str, Path]:
    made: dict[str, Path] = {}
    for name, lines in (("calm", calm), ("stormy", stormy)):
        folder = tmp_path_factory.mktemp(name)
        write(folder, model, lines)
        found = run(folder)
        assert found.returncode == 0, found.stderr
        made[name] = folder / "monitor.html"
        assert found.stdout == f"{len(lines)} log lines: {made[name].as_uri()}\n"
    return made


def test_it_says_which_alerts_would_fire(pages: dict[str, Path]) -> None:
    assert verdicts(pages["calm"].read_text()) == dict.fromkeys(TILES, "well")
    found = verdicts(pages["stormy"].read_text())
    assert found.keys() == TILES
    assert {name for name in found if found[name] == "alarm"} >= {"drift", "scores", "errors"}


def test_it_names_the_fields_that_drifted(pages: dict[str, Path]) -> None:
    assert "drifted: none." in pages["calm"].read_text()
    drifted = re.search(r"drifted: ([^.<]+)\.<", pages["stormy"].read_text())
    assert drifted
    assert set(drifted[1].split(", ")) == {"Age", "OverTime"}


def test_every_plot_is_in_it_and_well_formed(pages: dict[str, Path]) -> None:
    page = pages["calm"].read_text()
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(pictures) == len(PLOTS)
    for picture in pictures:
        ET.fromstring(picture)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(set(ids)) == len(ids)


def test_it_loads_nothing_from_anywhere(pages: dict[str, Path]) -> None:
    page = pages["stormy"].read_text()
    assert "default-src 'none'" in page
    assert "<script" not in page
    elsewhere = re.findall(r'(?:src|href|action)="(?!#)[^"]*"|url\((?!#)', page)
    assert not elsewhere
    assert set(re.findall(r"https?://[\w.]+", page)) <= {"http://www.w3.org"}


def test_no_request_and_no_caller_is_in_it(pages: dict[str, Path], stormy: Lines) -> None:
    page = pages["stormy"].read_text()
    assert not any(line["request_id"] in page for line in stormy if line["event"] == "request")
    assert "beef" not in page


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        ("nothing", "is not there yet: `make up` comes first"),
        ("old lines", "has no line of schema 1 yet: ask the API something first"),
        ("no release", "has no files of release 7, which wrote the last line"),
        ("no counts", "the drift detector has no `fields` with `counts`"),
    ],
)
def test_where_there_is_nothing_to_see_it_says_what_to_do(
    tmp_path: Path, model: Model, calm: Lines, prepare: str, said: str
) -> None:
    write(tmp_path, model, [] if prepare == "old lines" else calm[:5])
    release = tmp_path / "releases" / f"{RELEASE}-0123456789ab"
    match prepare:
        case "nothing":
            (tmp_path / "logs" / "api.log").unlink()
        case "no release":
            shutil.rmtree(release)
        case "no counts":
            (release / DRIFT).write_text("{}")
        case _:
            pass
    found = run(tmp_path)
    assert found.returncode == 1
    assert said in found.stderr
    assert not (tmp_path / "monitor.html").exists()


def test_a_last_line_of_a_release_that_was_replaced_is_no_obstacle(
    tmp_path: Path, model: Model
) -> None:
    write(tmp_path, model, [request(END), {**request(END), "release": "6"}])
    assert run(tmp_path).returncode == 0
    assert f"<h1>Release {RELEASE}, as of " in (tmp_path / "monitor.html").read_text()


def test_a_log_of_one_request_is_a_page(tmp_path: Path, model: Model) -> None:
    write(tmp_path, model, [request(END)])
    assert run(tmp_path).returncode == 0
    page = (tmp_path / "monitor.html").read_text()
    assert (
        "No window yet: one is written when at least 20 records are in (as windowRecords) and"
        in page
    )
    assert verdicts(page) == dict.fromkeys(TILES, "well")


# In a browser


def chromium(page: Path, *options: str) -> str:
    """Open the page headless, with a profile of its own and no network; return what it prints."""
    program = shutil.which("chromium")
    if not program:
        pytest.skip("there is no chromium on the PATH")
    found = subprocess.run(
        [
            *(program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--no-first-run", "--disable-dev-shm-usage", "--enable-logging=stderr"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={page.parent}/profile"),
            *(f"--window-size={WIDTH},{HEIGHT}", *options, page.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": str(page.parent)},
    )
    assert found.returncode == 0, found.stderr
    complaints = [line for line in found.stderr.splitlines() if "CONSOLE" in line]
    assert not complaints
    return found.stdout


def test_a_browser_shows_every_plot_and_the_alarms(pages: dict[str, Path]) -> None:
    dom = chromium(pages["stormy"], "--dump-dom")
    assert dom.count("<svg") == len(PLOTS)
    assert verdicts(dom) == verdicts(pages["stormy"].read_text())
    for text in ("MonthlyIncome", ">drift<", "limit at that count", "predicted probability"):
        assert text in dom


def test_what_a_browser_paints_has_the_colour_of_its_alarms(pages: dict[str, Path]) -> None:
    blue, vermillion = (0, 0x72, 0xB2), (0xD5, 0x5E, 0)
    alarming: dict[str, int] = {}
    for which, page in pages.items():
        picture = page.with_suffix(".png")
        chromium(page, f"--screenshot={picture}")
        painted = pixels(picture)
        assert painted.shape == (HEIGHT, WIDTH, 3)
        assert near(painted, blue) > 5_000
        # The tiles are in the first 200 rows; limits, further down, are dashed in it as well.
        alarming[which] = near(painted[:200], vermillion)
    assert alarming["calm"] == 0
    assert alarming["stormy"] > 500


def pixels(picture: Path) -> Any:
    from matplotlib.image import imread

    return (np.asarray(imread(picture))[:, :, :3] * 255).astype(int)


def near(painted: Any, colour: tuple[int, int, int]) -> int:
    return int((np.abs(painted - np.array(colour)).max(axis=2) <= 4).sum())
