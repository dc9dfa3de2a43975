"""Dynamic resources for tests, whose provider writes down every call in a 'world' file.

An importable module, as the program's own providers are: it is pickled by reference.
"""

import json
import time
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown

CHANGES = ("create", "update", "delete")


class World:
    """What the providers did, and what they are told to fail at."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def calls(self, *kinds: str) -> list[str]:
        """Return 'create a', 'update b', … in their order; without kinds, whatever changes."""
        if not self.path.exists():
            return []
        entries = [json.loads(line) for line in self.path.read_text().splitlines()]
        wanted = kinds or CHANGES
        return [f"{e['call']} {e['name']}" for e in entries if e["call"] in wanted]

    def last(self, call: str) -> dict[str, Any]:
        entries = [json.loads(line) for line in self.path.read_text().splitlines()]
        return [entry for entry in entries if entry["call"] == call][-1]

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)

    def fail(self, *calls: str) -> None:
        """From now on the named calls ('create a') raise."""
        self._told("fail").write_text("\n".join(calls))

    def hang(self, *calls: str) -> None:
        """From now on the named calls never end."""
        self._told("hang").write_text("\n".join(calls))

    def heal(self) -> None:
        self._told("fail").unlink(missing_ok=True)
        self._told("hang").unlink(missing_ok=True)

    def note(self, call: str, name: str, **more: Any) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"call": call, "name": name, **more}) + "\n")
        if self._is_told("hang", f"{call} {name}"):
            time.sleep(3600)
        if self._is_told("fail", f"{call} {name}"):
            raise RuntimeError(f"the world cannot {call} {name}")

    def _told(self, what: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{what}")

    def _is_told(self, what: str, call: str) -> bool:
        file = self._told(what)
        return file.exists() and call in file.read_text().splitlines()


def _world(props: dict[str, Any]) -> World:
    return World(Path(props["world"]))


def _plain(props: dict[str, Any]) -> dict[str, Any]:
    return {key: _known(value) for key, value in props.items() if key != "__provider"}


def _known(value: Any) -> Any:
    match value:
        case Unknown():
            return "(unknown)"
        case dict():
            return {key: _known(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType] - JSON
        case list():
            return [_known(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - JSON
        case _:
            return value


class ThingProvider(ResourceProvider):
    """`size` replaces, everything else updates; `before` deletes before it replaces."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        _world(news).note("check", news["name"], news=_plain(news))
        if news.get("value") == "bad":
            return CheckResult(news, [CheckFailure("value", "must not be bad")])
        return CheckResult({**news, "checked": f"checked {news['name']}"}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        _world(news).note("diff", news["name"])
        changed = [k for k in ("value", "size") if olds.get(k) != news.get(k)]
        replaces = [k for k in changed if k == "size"]
        return DiffResult(
            changes=bool(changed), replaces=replaces, delete_before_replace=bool(news.get("before"))
        )

    def create(self, props: dict[str, Any]) -> CreateResult:
        _world(props).note("create", props["name"], props=_plain(props))
        return CreateResult(id_=f"id-{props['name']}-{props.get('size')}", outs=_outs(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        _world(news).note("update", news["name"], id=_id, olds=_plain(_olds), news=_plain(news))
        return UpdateResult(outs=_outs(news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        _world(props).note("delete", props["name"], id=_id, props=_plain(props))


def _outs(props: dict[str, Any]) -> dict[str, Any]:
    return {**props, "made": f"made of {props.get('value')}"}


class UndecidedProvider(ThingProvider):
    """Leaves it to the engine to see whether inputs changed."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        _world(news).note("diff", news["name"])
        return DiffResult()


class Thing(Resource, module="tests", name="Thing"):
    made: pulumi.Output[str]
    value: pulumi.Output[Any]
    checked: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        world: str,
        opts: pulumi.ResourceOptions | None = None,
        provider: ResourceProvider | None = None,
        **inputs: Any,
    ) -> None:
        props = {"name": name, "world": world, **inputs, "made": None, "checked": None}
        super().__init__(provider or ThingProvider(), name, props, opts)


class Box(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tests:index:Box", name, None, opts)
