"""The package's boundaries: training builds on the contract alone, and says what it exports."""

import ast
import importlib
from pathlib import Path

import pytest

import training

MODULES = sorted(Path(training.__file__).parent.rglob("*.py"))
FORBIDDEN = {"app", "engine", "infra", "monitoring", "policies", "pulumi", "stacks"}


def name(path: Path) -> str:
    return ".".join(path.relative_to(Path(training.__file__).parents[1]).with_suffix("").parts)


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_nothing_of_the_other_packages(path: Path) -> None:
    assert not imported(path) & FORBIDDEN


@pytest.mark.parametrize("path", [m for m in MODULES if m.stem != "__init__"], ids=name)
def test_exports_exist(path: Path) -> None:
    module = importlib.import_module(name(path))
    assert module.__all__
    assert all(hasattr(module, name) for name in module.__all__)
