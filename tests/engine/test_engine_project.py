"""The project's files, read as Pulumi reads them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.errors import EngineError
from engine.project import load

PROJECT = """
name: proj
runtime: python
config:
  text: {type: string, default: some text}
  number: {type: integer, default: 8000}
  fraction: {type: number, default: 0.25}
  flag: {type: boolean, default: true}
  empty: {type: string, default: ""}
  object: {type: object, default: {a: 1, b: [x, true]}}
  list: {type: array, items: {type: object}, default: [{m: 0.5}]}
"""


def write(root: Path, stack: str | None = "config: {}", project: str = PROJECT) -> Path:
    (root / "Pulumi.yaml").write_text(project)
    if stack is not None:
        (root / "Pulumi.local.yaml").write_text(stack)
    return root


def test_defaults_become_config(tmp_path: Path) -> None:
    project = load(write(tmp_path), "local")
    assert (project.name, project.stack, project.root) == ("proj", "local", tmp_path)
    assert project.local == tmp_path / ".local"
    assert project.config == {
        "proj:text": "some text",
        "proj:number": "8000",
        "proj:fraction": "0.25",
        "proj:flag": "true",
        "proj:empty": "",
        "proj:object": '{"a": 1, "b": ["x", true]}',
        "proj:list": '[{"m": 0.5}]',
    }


def test_the_stacks_file_goes_before_the_defaults(tmp_path: Path) -> None:
    stack = "config: {proj:text: mine, proj:number: 1, proj:object: {c: 2}}"
    config = load(write(tmp_path, stack), "local").config
    assert config["proj:text"] == "mine"
    assert config["proj:number"] == "1"
    assert json.loads(config["proj:object"]) == {"c": 2}
    assert config["proj:flag"] == "true"


@pytest.mark.parametrize(
    ("key", "full"), [("new", "proj:new"), ("proj:new", "proj:new"), ("other:new", "other:new")]
)
def test_a_key_without_a_namespace_is_the_projects(tmp_path: Path, key: str, full: str) -> None:
    config = load(write(tmp_path, f'config: {{"{key}": x}}'), "local").config
    assert config[full] == "x"
    assert len(config) == 8


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1", "1"),
        ("1.0", "1.0"),
        ("no", "false"),
        ("", ""),
        ('"no"', "no"),
        ("ä €", "ä €"),
        ("[1, {a: b}]", '[1, {"a": "b"}]'),
    ],
)
def test_what_is_no_text_becomes_json(tmp_path: Path, value: str, text: str) -> None:
    assert load(write(tmp_path, f"config:\n  k: {value}"), "local").config["proj:k"] == text


@pytest.mark.parametrize("stack", ["", "config:", "config: {}", "# nothing\n", "{}"])
def test_a_stack_may_set_nothing(tmp_path: Path, stack: str) -> None:
    assert len(load(write(tmp_path, stack), "local").config) == 7


def test_a_project_may_have_no_config(tmp_path: Path) -> None:
    assert load(write(tmp_path, project="name: proj"), "local").config == {}


def test_an_encrypted_value_is_refused_by_key_and_file(tmp_path: Path) -> None:
    write(tmp_path, "config: {proj:token: {secure: v1:abc}}")
    with pytest.raises(
        EngineError, match=r"Pulumi\.local\.yaml: proj:token is encrypted.*ENGINE=pulumi"
    ):
        load(tmp_path, "local")


def test_an_unknown_stack_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "Pulumi.staging.yaml").write_text("config: {}")
    with pytest.raises(
        EngineError,
        match=r"no stack 'lokal' \(Pulumi\.lokal\.yaml\); known: \['local', 'staging'\]",
    ):
        load(tmp_path, "lokal")


@pytest.mark.parametrize("broken", ["Pulumi.yaml", "Pulumi.local.yaml"])
def test_broken_yaml_is_named_with_what_to_do(tmp_path: Path, broken: str) -> None:
    (write(tmp_path) / broken).write_text("config: {}\n  proj:number: 1\n")
    with pytest.raises(EngineError, match=rf"{broken} is no YAML; settings go below a bare `conf"):
        load(tmp_path, "local")


def test_a_setting_at_the_left_edge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"Pulumi\.local\.yaml: proj:number is at the left edge"):
        load(write(tmp_path, "config:\nproj:number: 1\n"), "local")


def test_what_pulumi_itself_writes_into_a_stacks_file_may_be_there(tmp_path: Path) -> None:
    stack = "encryptionsalt: v1:a\nencryptedkey: b\nsecretsprovider: c\nenvironment: [d]\n"
    assert len(load(write(tmp_path, stack), "local").config) == 7


def test_the_examples_in_the_local_stacks_file_work_once_they_are_uncommented(
    tmp_path: Path,
) -> None:
    text = (Path(__file__).parents[2] / "Pulumi.local.yaml").read_text()
    uncommented = re.sub(r"# (?=\S+:\S+: )", "", text)
    assert load(write(tmp_path, text), "local").config.keys() == {
        f"proj:{key}" for key in yaml.safe_load(PROJECT)["config"]
    }
    assert {
        "employee-retention:apiPort": "8001",
        "employee-retention:retrain": "2026-11",
    }.items() <= (load(write(tmp_path, uncommented), "local").config.items())


def test_a_missing_project_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"Pulumi\.yaml cannot be read: .*No such file"):
        load(tmp_path, "local")


def test_a_key_without_default_is_one_that_must_be_set(tmp_path: Path) -> None:
    """A secret has no default."""
    project = "name: proj\nconfig: {token: {type: string}}"
    assert load(write(tmp_path, project=project), "local").config == {}
    assert load(write(tmp_path, "config: {token: x}", project), "local").config == {
        "proj:token": "x"
    }


ODD: dict[str, tuple[str, str]] = {
    "no name": ("runtime: python", "config: {}"),
    "a list as project": ("[a]", "config: {}"),
    "a list as stack": (PROJECT, "[a]"),
    "a list as config": (PROJECT, "config: [a]"),
    "not UTF-8": (PROJECT, "config: {a: \udcff}"),
}


@pytest.mark.parametrize(("project", "stack"), ODD.values(), ids=ODD)
def test_a_file_of_another_shape_is_named(tmp_path: Path, project: str, stack: str) -> None:
    (tmp_path / "Pulumi.yaml").write_text(project)
    (tmp_path / "Pulumi.local.yaml").write_bytes(stack.encode(errors="surrogateescape"))
    file = "Pulumi.yaml" if project != PROJECT else "Pulumi.local.yaml"
    with pytest.raises(EngineError, match=re.escape(file)):
        load(tmp_path, "local")


def test_the_real_project_loads() -> None:
    root = Path(__file__).parents[2]
    schema: dict[str, Any] = yaml.safe_load((root / "Pulumi.yaml").read_text())["config"]
    project = load(root, "local")
    assert project.name == "employee-retention"
    assert set(project.config) >= {f"employee-retention:{key}" for key in schema}
