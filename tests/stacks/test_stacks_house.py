"""The house's rules that hold for every package: which way imports point, and what is public."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT: dict[str, set[str]] = {
    "contract": set(),
    "delivery": set(),
    "app": {"contract"},
    "training": {"contract"},
    "monitoring": {"contract"},
    "infra": {"contract", "monitoring"},
    "stacks": {"contract", "infra", "monitoring"},
    "engine": {"contract", "infra", "policies", "stacks"},
    "batch": {"app", "contract"},
    "policies": set(),
}
MODULES = sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the packages that a module imports, at its top or anywhere in it."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=module, level=0):
                assert module is not None
                yield module.partition(".")[0]
            case ast.ImportFrom(level=level):
                pytest.fail(f"a relative import (level {level}) hides where it points")
            case _:
                pass


def test_every_package_has_its_rule() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"tests"} == MAY_IMPORT.keys()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_point_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    ours = set(imported(ast.parse(path.read_text()))) & {*MAY_IMPORT, "tests"}
    assert ours - {package} <= MAY_IMPORT[package]


def test_the_program_imports_the_stacks_and_nothing_else_of_ours() -> None:
    tree = ast.parse((ROOT / "__main__.py").read_text())
    assert set(imported(tree)) == {"stacks"}
    assert len((ROOT / "__main__.py").read_text().splitlines()) < 15


def test_the_sdks_private_modules_are_used_in_one_package() -> None:
    """`pulumi.runtime.mocks`, `.proto` and `.rpc` are no public API."""
    users = {
        path.relative_to(ROOT).parts[0]
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and (
            (node.module or "").startswith(("pulumi.runtime.mocks", "pulumi.runtime.proto"))
            or (node.module == "pulumi.runtime" and "rpc" in {a.name for a in node.names})
        )
    }
    assert users == {"engine"}


def defined(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in tree.body:
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                found.add(name)
            case ast.Assign(targets=targets):
                found |= {
                    node.id
                    for target in targets
                    for node in ast.walk(target)
                    if isinstance(node, ast.Name)
                }
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case _:
                pass
    return {name for name in found if not name.startswith("_")}


def exported(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return ast.literal_eval(value)
            case _:
                pass
    return None


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_all_names_what_a_module_defines(path: Path) -> None:
    tree = ast.parse(path.read_text())
    public = exported(tree)
    if path.name == "__main__.py":
        # A program is run, not imported; what it exports all the same must be there.
        assert set(public or []) <= defined(tree)
        return
    assert (public is not None) == bool(defined(tree) or public)
    names = public or []
    assert len(names) == len(set(names))
    assert not [name for name in names if name.startswith("_")]
    available = defined(tree) | {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(names) <= available
    if path.name == "__init__.py":
        assert defined(tree) <= set(names)
    else:
        assert defined(tree) == set(names)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_says_what_it_is_for_and_is_not_too_long(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 450
