"""What the stand-in clouds hold, and everything that was done to them, in its order."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Thing:
    """A live object: its stack, type and logical name in the program, and what was asked for."""

    urn: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def stack(self) -> str:
        return self.urn.split("::")[0].rpartition(":")[2]

    @property
    def type(self) -> str:
        """The type's own token, without its parents'."""
        return self.urn.split("::")[2].rpartition("$")[2]

    @property
    def kind(self) -> str:
        return self.type.rpartition(":")[2]

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that was made, changed or taken away."""

    operation: str
    stack: str
    kind: str
    name: str
    id: str

    def __str__(self) -> str:
        return f"{self.operation} {self.kind} {self.name}"


class Ledger:
    """The live objects of every stand-in cloud, and the events in their order. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._things: dict[tuple[str, str], Thing] = {}
        self._events: list[Event] = []

    def add(self, thing: Thing) -> None:
        """Record a new object.

        Raises:
            ValueError: its stack holds one of this type with the same id.
        """
        with self._lock:
            if self.find(thing.stack, thing.kind, lambda other: other.id == thing.id):
                raise ValueError(f"{thing.kind} {thing.id!r} already exists")
            self._things[thing.urn, thing.id] = thing
            self._note("create", thing)

    def get(self, urn: str, id_: str) -> Thing | None:
        with self._lock:
            return self._things.get((urn, id_))

    def change(self, urn: str, id_: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        with self._lock:
            thing = self._things[urn, id_]
            thing.inputs, thing.outputs = inputs, outputs
            self._note("update", thing)

    def remove(self, urn: str, id_: str) -> Thing | None:
        with self._lock:
            thing = self._things.pop((urn, id_), None)
            if thing:
                self._note("delete", thing)
            return thing

    def find(
        self, stack: str, kind: str = "", where: Callable[[Thing], bool] = lambda _: True
    ) -> list[Thing]:
        """Find a stack's live objects, those of one kind if it is given."""
        with self._lock:
            return [
                thing
                for thing in self._things.values()
                if thing.stack == stack and kind in ("", thing.kind) and where(thing)
            ]

    def one(self, stack: str, kind: str, name: str = "") -> Thing:
        """Find the only such object."""
        found = self.find(stack, kind, lambda thing: name in ("", thing.name))
        if len(found) != 1:
            raise LookupError(f"{len(found)} of {kind} {name} in {stack}, not one")
        return found[0]

    def events(self, stack: str = "", *, since: int = 0) -> list[Event]:
        """List what happened (to one stack, if given), from event number `since` on."""
        with self._lock:
            return [e for e in self._events[since:] if stack in ("", e.stack)]

    def mark(self) -> int:
        """Return the number of events so far, for `events(since=…)`."""
        with self._lock:
            return len(self._events)

    def _note(self, operation: str, thing: Thing) -> None:
        self._events.append(
            Event(
                operation=operation,
                stack=thing.stack,
                kind=thing.kind,
                name=thing.name,
                id=thing.id,
            )
        )


def differing(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every leaf that differs, as Pulumi writes paths: a.b[0].c."""
    if isinstance(old, dict) and isinstance(new, dict):
        olds: dict[str, Any] = old  # pyright: ignore[reportUnknownVariableType] - from JSON
        news: dict[str, Any] = new  # pyright: ignore[reportUnknownVariableType] - from JSON
        for key in sorted(olds.keys() | news.keys()):
            step = f"{path}.{key}" if path else key
            yield from differing(olds.get(key), news.get(key), step)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):  # pyright: ignore[reportUnknownArgumentType] - from JSON
        pairs: list[tuple[Any, Any]] = list(zip(old, new, strict=True))  # pyright: ignore[reportUnknownArgumentType] - from JSON
        for index, (before, after) in enumerate(pairs):
            yield from differing(before, after, f"{path}[{index}]")
    elif old != new:
        yield path
