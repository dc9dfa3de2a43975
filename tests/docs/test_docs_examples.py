"""The examples of docs/api.md: run for real, and the same request in each language."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from docs_markdown import ROOT, Block, Document
from docs_recorder import Recorder, powershell_request

from contract.employee import EXAMPLE, FAIRNESS_ONLY
from tests.app.app_issuer import Issuer, sign
from tests.app.app_processes import KEY, Process, predict

API = Document(ROOT / "docs" / "api.md")
LANGUAGES = ("sh", "python", "powershell")
EXAMPLES = [block for block in API.blocks if block.language in LANGUAGES]
HEADINGS = list(dict.fromkeys(block.heading for block in EXAMPLES))
RECORD = next(block for block in API.blocks if block.language == "json")
RECORDS = json.loads(RECORD.code)

PRINTED = {
    "Predict": (200, "at_risk: 59%, for OverTime, NumCompaniesWorked, JobLevel\n"),
    "Answer the good records, report the others": (
        200,
        "record 1, OverTime: expected one of 'No', 'Yes'\n1 answered\n",
    ),
    "Ask about nobody": (200, "at_risk\n"),
    "Read a refusal": (422, "record 0, Age: expected a whole number from 18 to 80 (years)\n"),
    "Read what is served": (200, "release 7 {'cv_roc_auc': 0.86}\n"),
    "Who may call": (200, "at_risk\n"),
}
"""By heading: the answer's status, and (a part of) what the example in Python prints."""


def example(heading: str, language: str) -> Block:
    (found,) = [each for each in EXAMPLES if (each.heading, each.language) == (heading, language)]
    return found


@pytest.fixture
def variables(recorder: Recorder, issuer: Issuer) -> Mapping[str, str]:
    token = sign(issuer.v2()).decode()
    return {"ATTRITION_URL": recorder.url, "ATTRITION_KEY": KEY, "ATTRITION_TOKEN": token}


def records_for(heading: str, folder: Path) -> Mapping[str, bytes]:
    """Write the file of the document; the section about wrong records gets one beside it."""
    wrong = {**RECORDS[0], "OverTime": "Sometimes"}
    content = json.dumps([*RECORDS, wrong]) if "report" in heading else RECORD.code
    (folder / "records.json").write_text(content)
    return {"records.json": content.encode()}


def run(block: Block, folder: Path, variables: Mapping[str, str]) -> str:
    commands = {
        "sh": [shutil.which("sh") or "sh", "-euc"],
        # Without `site`: nothing but the standard library.
        "python": [sys.executable, "-I", "-S", "-W", "error", "-c"],
        "powershell": [shutil.which("pwsh") or "pwsh", "-NoProfile", "-NonInteractive", "-Command"],
    }
    done = subprocess.run(
        [*commands[block.language], block.code],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(folder), **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def skip_without_tool(language: str) -> None:
    tool = {"sh": "curl", "powershell": "pwsh"}.get(language)
    if tool and not shutil.which(tool):
        pytest.skip(f"there is no {tool}")


def test_every_section_has_its_example_in_every_language() -> None:
    assert PRINTED.keys() == set(HEADINGS)
    for heading in HEADINGS:
        languages = [block.language for block in EXAMPLES if block.heading == heading]
        assert languages == [*LANGUAGES], heading


def test_the_record_is_the_contracts_without_what_no_model_looks_at() -> None:
    kept = {name: value for name, value in EXAMPLE.items() if name not in FAIRNESS_ONLY}
    assert [kept] == RECORDS


@pytest.mark.parametrize("heading", HEADINGS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_example_runs_and_asks_what_the_one_in_powershell_asks(
    heading: str,
    language: str,
    tmp_path: Path,
    variables: Mapping[str, str],
    recorder: Recorder,
) -> None:
    skip_without_tool(language)
    files = records_for(heading, tmp_path)
    printed = run(example(heading, language), tmp_path, variables)
    (sent,) = recorder.sent
    powershell = example(heading, "powershell").code
    assert sent == powershell_request(powershell, variables, files, recorder.url)
    status, words = PRINTED[heading]
    assert sent.status == status
    match language:
        case "sh":
            assert json.loads(printed).get("status", 200) == status
        case "python":
            assert words in printed
        case _:
            assert printed.strip()


@pytest.mark.parametrize("language", ["python", "sh"])
def test_the_refusals_example_comes_back_when_it_is_told_to(
    language: str, tmp_path: Path, bundle: Path
) -> None:
    skip_without_tool(language)
    limit = {"RATE_LIMIT_PER_SECOND": "1", "RATE_LIMIT_BURST": "1"}
    process = Process(tmp_path, "7", bundle, limit).start()
    try:
        connection = process.wait_ready().connect()
        recorder = Recorder(f"{connection.host}:{connection.port}")
        try:
            assert predict(connection, RECORD.code.encode())[0] == 200
            variables = {"ATTRITION_URL": recorder.url, "ATTRITION_KEY": KEY}
            printed = run(example("Read a refusal", language), tmp_path, variables)
        finally:
            recorder.close()
            connection.close()
    finally:
        process.kill()
    assert [sent.status for sent in recorder.sent] == [429, 422]
    assert "a whole number from 18 to 80" in printed
