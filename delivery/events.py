"""What an engine's events say of a run: its changes, its release, its verdicts, its errors.

Values of properties are left out, their names are kept: a report is read by more people than a
state. The figures and verdicts of a release are the exception; they are what is decided upon.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

__all__ = ["PASSED_OVER", "Change", "Release", "Run", "read"]

_QUIET = {"same", "read", "refresh"}
_HALVES = {"create-replacement", "delete-replaced", "discard-replaced"}
"""A replacement is told three times; once is enough."""
_RELEASES = {"ReleaseGate", "TrainingRun"}
_VERSION = re.compile(r"\d+")
"""What is not known yet is a marker of Pulumi's that looks like a GUID."""
_LAST_LINES = 15
PASSED_OVER: Mapping[str, tuple[str, ...]] = {
    "azure-native:consumption:Budget": ("timePeriod",),
    "azure-native:containerservice:ManagedCluster": (
        *("kubernetesVersion", "agentPoolProfiles[0].count"),
    ),
    "databricks:index/registeredModel:RegisteredModel": ("aliases",),
    "kubernetes:apps/v1:Deployment": ("spec.replicas",),
}
"""What moves by itself, by type: the program's own `ignore_changes`, of which no event tells."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One resource that a run creates, updates, replaces or deletes; `keys` name what differs."""

    operation: str
    kind: str
    name: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Release:
    """The release that a run is about; `image` names it by digest, or is empty."""

    version: str
    image: str
    figures: Mapping[str, float]
    verdicts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was planned or done. `moved` is what somebody changed in the cloud itself.

    What somebody added there is in `changes`, where an apply would take it away.
    """

    changes: tuple[Change, ...] = ()
    moved: tuple[Change, ...] = ()
    release: Release | None = None
    policies: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Hash the plan: the same for the same changes to the same release, in any order."""
        changes = sorted(json.dumps(asdict(change)) for change in self.changes)
        release = asdict(self.release) if self.release else None
        told = json.dumps({"changes": changes, "release": release}, sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


def read(lines: Iterable[str]) -> Run:
    """Read the engine's events, one JSON object a line.

    Raises:
        ValueError: a line is no JSON.
    """
    events: list[dict[str, Any]] = [json.loads(line) for line in lines if line.strip()]
    before = [event["metadata"] for event in _of("resourcePreEvent", events)]
    after = [event["metadata"] for event in _of("resOutputsEvent", events)]
    diagnostics = _of("diagnosticEvent", events)
    return Run(
        changes=tuple(_change(each) for each in before if _counts(each)),
        moved=tuple(filter(None, map(_moved, after))),
        release=_release([*before, *after]),
        policies=tuple(_policy(each) for each in _of("policyEvent", events)),
        errors=tuple(_tail(e["message"]) for e in diagnostics if e.get("severity") == "error"),
    )


def _of(kind: str, events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [event[kind] for event in events if kind in event]


def _counts(metadata: Mapping[str, Any]) -> bool:
    default = metadata["urn"].rpartition("::")[2].startswith("default")
    if default and metadata["type"].startswith("pulumi:providers:"):
        return False  # It is in no program: Pulumi makes it to have one.
    return metadata["op"] not in _QUIET | _HALVES


def _change(metadata: Mapping[str, Any], keys: Iterable[str] | None = None) -> Change:
    if keys is None:
        paths = [*(metadata.get("detailedDiff") or ()), *(metadata.get("diffs") or ())]
        keys = {re.split(r"[.\[]", str(path))[0] for path in paths}
    return Change(
        operation=metadata["op"],
        kind=metadata["type"].rpartition(":")[2],
        name=metadata["urn"].rpartition("::")[2],
        keys=tuple(sorted(key for key in keys if not key.startswith("__"))),
    )


def _moved(metadata: Mapping[str, Any]) -> Change | None:
    """Compare what the state had with what a refresh found; None where they agree."""
    if metadata["op"] != "refresh" or not metadata.get("old"):
        return None
    if not metadata.get("new"):
        return _change({**metadata, "op": "gone"}, ())
    keys = _drifted(metadata["old"], metadata["new"], PASSED_OVER.get(metadata["type"], ()))
    return _change({**metadata, "op": "changed"}, keys) if keys else None


def _drifted(
    old: Mapping[str, Any], new: Mapping[str, Any], passed_over: Sequence[str]
) -> list[str]:
    """Name the inputs that the cloud no longer has as it had them.

    What nobody asked for (a status, an object's version, an entity tag) moves every day. Outputs
    are compared with outputs, because a cloud spells what it was given in its own way; an input
    that no output repeats is compared where the read gives inputs.
    """
    drifted: list[str] = []
    for key, asked in _inputs(old).items():
        told = key in _outputs(old)
        before = _outputs(old)[key] if told else asked
        after = _outputs(new).get(key) if told else _inputs(new).get(key, asked)
        if _differs(asked, before, after, key, passed_over):
            drifted.append(key)
    return drifted


def _differs(asked: Any, before: Any, after: Any, path: str, passed_over: Sequence[str]) -> bool:
    """Whether anything at `path` that was asked for is no longer as it was."""
    if path in passed_over or before is None:
        return False
    pairs: list[tuple[Any, Any, Any, str]]
    match asked, before, after:
        case dict(), dict(), dict():
            items = cast("dict[str, Any]", asked).items()
            old, new = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
            pairs = [(value, old.get(key), new.get(key), f"{path}.{key}") for key, value in items]
        case list(), list(), list():
            lists = [cast("list[Any]", each) for each in (asked, before, after)]  # pyright: ignore[reportUnknownVariableType] - no list's type is known
            if len(lists[1]) != len(lists[2]):
                return True
            items = enumerate(zip(*lists, strict=False))
            pairs = [(*values, f"{path}[{number}]") for number, values in items]
        case _:
            return before != after
    return any(_differs(*pair, passed_over) for pair in pairs)


def _inputs(state: Mapping[str, Any]) -> Mapping[str, Any]:
    return state.get("inputs") or {}


def _outputs(state: Mapping[str, Any]) -> Mapping[str, Any]:
    return state.get("outputs") or {}


def _release(told: Iterable[Mapping[str, Any]]) -> Release | None:
    """Find the release; what was judged last holds: an apply's outputs follow its plan."""
    found: Release | None = None
    for metadata in told:
        state = metadata.get("new")
        if not state or metadata["type"].rpartition(":")[2] not in _RELEASES:
            continue
        props: dict[str, Any] = {**_inputs(state), **_outputs(state)}
        if _VERSION.fullmatch(str(props.get("version", ""))):
            found = Release(
                version=str(props["version"]),
                image=str(props.get("image") or ""),
                figures=_numbers(props.get("metrics")),
                verdicts=_texts(props.get("verdicts")),
            )
        elif refusal := _texts(props.get("verdicts")):
            found = Release(version="", image="", figures={}, verdicts=refusal)
    return found


def _numbers(value: Any) -> dict[str, float]:
    items = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return {name: figure for name, figure in items.items() if isinstance(figure, (int, float))}


def _texts(value: Any) -> tuple[str, ...]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return tuple(item for item in items if isinstance(item, str))


def _policy(event: Mapping[str, Any]) -> str:
    return f"{event['enforcementLevel']}: {' '.join(event['message'].split())}"


def _tail(message: str) -> str:
    return "\n".join(message.strip().splitlines()[-_LAST_LINES:])
