"""What the documents name is there: files, anchors, commands, keys, modules, names in the code.

The rules look at what stands in backticks and in blocks of code. A name that is none of ours is in
`OTHERS`, with whose it is.
"""

import ast
import importlib.util
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs_markdown import ROOT, Document

_INSTALLED = {"node_modules", "__pycache__"}
_HIDDEN_AND_OURS = {".github", ".ci"}
OURS = {path.parent.name for path in ROOT.glob("*/__init__.py")}
OTHERS = {
    *("gatewayAPI", "ingressProfile"),  # Azure's
    *("defaultIngressControllerType", "OOMKilled"),  # Azure's, Kubernetes'
    *("bin_at", "column_ifexists", "SO_REUSEPORT"),  # Kusto's, Linux's
    "ThingArgs",  # stands for the arguments of any component
}


def is_ours(folder: str) -> bool:
    return folder not in _INSTALLED and (folder[0] != "." or folder in _HIDDEN_AND_OURS)


def files() -> Iterator[Path]:
    """Every file of the project: neither installed nor made by running it."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(each for each in folders if is_ours(each))
        yield from (Path(folder, name) for name in names)


FILES = list(files())
NAMES = {path.name for path in FILES}
DOCUMENTS = [Document(path) for path in sorted(FILES) if path.suffix == ".md"]
SOURCES = [
    path
    for path in FILES
    if path.suffix in {".py", ".js", ".sh", ".kql", ".yml", ".yaml", ".toml", ".in", ""}
    and path.parent != Path(__file__).parent
]
CONFIG: Mapping[str, Mapping[str, Any]] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())[
    "config"
]

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda each: str(each.path.relative_to(ROOT))
)


@cache
def source() -> str:
    return "\n".join(path.read_text(errors="replace") for path in SOURCES)


@cache
def words() -> frozenset[str]:
    return frozenset(re.findall(r"\w+", source()))


@cache
def outputs() -> frozenset[str]:
    """The names of the stacks' outputs."""
    texts = [path.read_text() for path in (ROOT / "stacks").glob("*.py")]
    return frozenset(re.findall(r'pulumi\.export\(\s*"(\w+)"', "\n".join(texts)))


def commands(document: Document) -> Iterator[str]:
    """What could be typed: each line of a block, whole, and what stands in backticks."""
    for block in document.blocks:
        yield from block.code.replace("\\\n", " ").splitlines()
    yield from document.code


def test_the_documents_are_all_there() -> None:
    found = {str(each.path.relative_to(ROOT)) for each in DOCUMENTS}
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/api.md"} <= found
    assert any(name.startswith("docs/decisions/") for name in found)


# Links and files


@each_document
def test_every_link_leads_somewhere(document: Document) -> None:
    for link in document.links:
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.path.parent / path).resolve() if path else document.path
        assert target.exists(), f"no such file: {link}"
        if anchor:
            assert anchor in Document(target).anchors, f"no such heading: {link}"


def test_a_document_that_the_code_names_is_there() -> None:
    named = set(re.findall(r"\bdocs/[\w./-]+\.md\b", source()))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


@each_document
def test_every_file_is_there_or_is_written_by_the_code(document: Document) -> None:
    examples = "\n".join(block.code for block in document.blocks)
    for token in document.code:
        if not re.fullmatch(r"[\w.*<>/-]+", token) or token.startswith(("/", ".local")):
            continue
        pattern = re.sub(r"<\w+>", "*", token).rstrip("/")
        first, *rest = pattern.split("/")
        if rest and not (ROOT / first).exists():
            # An action on GitHub, a media type.
            continue
        is_file = re.search(r"\.(py|md|ya?ml|kql|sh|json|txt|in|toml|js|svg|png|csv)$", pattern)
        if not rest and not is_file:
            continue
        there = any(ROOT.glob(pattern)) or (not rest and pattern in NAMES)
        assert there or (not rest and pattern in source() + examples), f"no such file: {token}"


def test_the_house_has_every_folder() -> None:
    (house,) = [b.code for b in Document(ROOT / "README.md").blocks if b.heading == "The house"]
    named = {name for line in house.splitlines() for name in re.findall(r"(?:^|  )([\w.]+)/", line)}
    there = {path.name for path in ROOT.iterdir() if path.is_dir() and is_ours(path.name)}
    assert named == there - _HIDDEN_AND_OURS


# Commands


@each_document
def test_every_make_target_is_in_the_makefile(document: Document) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in commands(document):
        for arguments in re.findall(r"(?:^|[;&|(] *)make((?: +[\w=./-]+)+)", command):
            for word in arguments.split():
                assert "=" in word or word in targets, f"no such target: {command}"


@each_document
def test_every_module_that_is_run_is_there_and_takes_the_options(document: Document) -> None:
    for command in commands(document):
        for module, rest in re.findall(r"python3? -m ([\w.]+)([^`#;|&]*)", command):
            spec = importlib.util.find_spec(module)
            assert spec, f"no such module: {command}"
            if spec.submodule_search_locations:
                assert importlib.util.find_spec(f"{module}.__main__"), f"cannot be run: {command}"
            if module.partition(".")[0] in OURS:
                for option in re.findall(r" (--[a-z-]+)", rest):
                    assert f'"{option}"' in source(), f"no such option: {command}"


@each_document
def test_every_script_is_there_and_takes_the_options(document: Document) -> None:
    for command in commands(document):
        for script, rest in re.findall(r"^((?:bootstrap|\.github|\.ci)/[\w/.-]+)(.*)", command):
            text = (ROOT / script).read_text() if (ROOT / script).is_file() else ""
            assert text or (ROOT / script).is_dir(), f"no such script: {command}"
            for option in re.findall(r" (--[a-z-]+)", rest):
                assert option in text, f"no such option: {command}"


# Config keys and outputs


@each_document
def test_every_config_key_is_in_pulumi_yaml_for_that_stack(document: Document) -> None:
    setting = re.compile(
        r"pulumi config (?:set|rm)(?: --path)? '?(\w+)[^;&|]*?(?: -s \"?(\$?\w+)|$)"
    )
    for command in commands(document):
        for key in re.findall(r"employee-retention:(\w+)", command):
            assert key in CONFIG, command
        for key, stack in setting.findall(command):
            assert key in CONFIG, command
            stacks = re.findall(r"\w+", CONFIG[key]["description"].strip().rpartition("(")[2])
            assert not stack or stack.startswith("$") or stack in stacks, command


@each_document
def test_what_looks_like_a_key_is_a_key_or_an_output(document: Document) -> None:
    for token in document.code:
        key = re.fullmatch(r"([a-z]+(?:[A-Z][a-z0-9]*)+)(?:: .+)?", token)
        if key and key[1] not in OTHERS | CONFIG.keys() | outputs():
            # Not a setting of a stack: then a name of the code that says so with a dot or a call.
            assert key[1] in words(), f"no such key or output: {token}"
            assert document.path.parent.name == "decisions", f"no such key or output: {token}"


@each_document
def test_every_output_is_one(document: Document) -> None:
    for command in commands(document):
        for output in re.findall(r"pulumi stack output (\w+)", command):
            assert output in outputs(), command
    for output in re.findall(r"\boutput `(\w+)`", document.prose):
        assert output in outputs(), output


# Names in the code


@each_document
def test_every_name_with_a_dot_is_in_the_code(document: Document) -> None:
    for token in document.code:
        first, *rest = token.split(".")
        if first not in OURS or not rest or not all(map(str.isidentifier, rest)):
            continue
        path = ROOT / first
        while rest and ((path / rest[0]).is_dir() or (path / f"{rest[0]}.py").is_file()):
            path /= rest.pop(0)
        module = path.with_suffix(".py") if path.with_suffix(".py").is_file() else path
        text = module.read_text() if module.is_file() else (path / "__init__.py").read_text()
        assert not rest or re.search(rf"\b{rest[0]}\b", text), f"no such name: {token}"


@each_document
def test_every_name_is_one_that_the_code_has(document: Document) -> None:
    """Names with an underscore, or with a capital inside: of classes, settings, columns, tags."""
    examples = "\n".join(block.code for block in document.blocks)
    for token in document.code:
        looks_like_one = token.isidentifier() and re.search(r"[a-z0-9][A-Z]|\w_\w", token)
        if looks_like_one and token not in OTHERS:
            # Prometheus' client gives counters their ending.
            name = token.removesuffix("_total")
            assert name in words() or token in examples, f"no such name: {token}"


@each_document
def test_every_figure_is_one_of_a_release(document: Document) -> None:
    """Gates are set on figures: one that is misspelt would stop every release."""
    figures = headlines()
    begun = "|".join(sorted({name.partition("_")[0] for name in figures if "_" in name}))
    for token in document.code:
        if re.fullmatch(rf"({begun})_\w+", token):
            assert token in figures, f"no such figure: {token}"


def headlines() -> set[str]:
    """The figures that gates can be set on; read, for importing them takes seconds."""
    for node in ast.parse((ROOT / "training/evaluation/evaluate.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "HEADLINES":
            return set(ast.literal_eval(node.value))
    raise AssertionError("training/evaluation/evaluate.py has no HEADLINES")


# The rules themselves


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (test_every_link_leads_somewhere, "[a](b.md)"),
        (test_every_link_leads_somewhere, "# A heading\n\n[a](#another)"),
        (test_every_file_is_there_or_is_written_by_the_code, "`app/no_such.py`"),
        (test_every_file_is_there_or_is_written_by_the_code, "`no_such_query.kql`"),
        (test_every_make_target_is_in_the_makefile, "`make nothing`"),
        (test_every_make_target_is_in_the_makefile, "# A\n\n```sh\nmake check nothing\n```\n"),
        (test_every_module_that_is_run_is_there_and_takes_the_options, "`python -m nothing`"),
        (test_every_module_that_is_run_is_there_and_takes_the_options, "`python -m app.records.x`"),
        (test_every_module_that_is_run_is_there_and_takes_the_options, "`python -m contract`"),
        (test_every_module_that_is_run_is_there_and_takes_the_options, "`python -m app --loud`"),
        (test_every_script_is_there_and_takes_the_options, "`bootstrap/bootstrap.sh --loud`"),
        (test_every_config_key_is_in_pulumi_yaml_for_that_stack, "`pulumi config set no 1`"),
        (
            test_every_config_key_is_in_pulumi_yaml_for_that_stack,
            "`pulumi config set apiPort 1 -s production`",
        ),
        (test_every_config_key_is_in_pulumi_yaml_for_that_stack, "`employee-retention:no: 1`"),
        (test_what_looks_like_a_key_is_a_key_or_an_output, "`noSuchKey`"),
        (test_every_output_is_one, "`pulumi stack output nothing`"),
        (test_every_output_is_one, "the output `nothing`"),
        (test_every_name_with_a_dot_is_in_the_code, "`app.records.Nothing`"),
        (test_every_name_is_one_that_the_code_has, "`NoSuchThing`"),
        (test_every_name_is_one_that_the_code_has, "`NO_SUCH_VARIABLE`"),
        (test_every_figure_is_one_of_a_release, "`cv_roc_acu`"),
    ],
)
def test_a_rule_finds_what_it_is_for(
    rule: Callable[[Document], None], text: str, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.md"
    path.write_text(text + "\n")
    with pytest.raises((AssertionError, ModuleNotFoundError)):
        rule(Document(path))
