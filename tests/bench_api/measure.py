"""Measure the API against its floor: round by round, the two taking turns within each.

A round begins with new processes and is 10,000 requests and 200 batches of 1,000 to either, so that
memory can be read at its end. Whatever disturbs the machine for seconds disturbs both sides, and
what is reported is the median over rounds of each round's own ratio.
"""

import contextlib
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from image import packages
from tests.app.app_processes import KEY
from tests.bench_api.client import (
    Address,
    ClientError,
    Connection,
    answered,
    latencies,
    throughput,
    undisturbed,
)
from tests.bench_api.figures import Figure, Machine, Results, percentile
from tests.bench_api.servers import (
    Cores,
    bare_python,
    choose_cores,
    on_core,
    serve_api,
    serve_floor,
)
from tests.bench_api.traffic import Traffic, draw

__all__ = ["ROUNDS", "Effort", "check", "image_size", "measure"]

_IMAGE_REQUIREMENTS = Path(packages.__file__).with_name("requirements.txt")

ROUNDS = 7
CONNECTIONS = 8


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is sent to each side: in each of `turns`, so many requests of each kind."""

    turns: int = 10
    singles: int = 200
    burst: int = 800
    batches: int = 20


@dataclass
class _Side:
    """What one round found of the API or of the floor."""

    address: Address
    singles: list[float] = field(default_factory=list[float])
    batches: list[float] = field(default_factory=list[float])
    rates: list[float] = field(default_factory=list[float])

    def take_turn(self, traffic: Traffic, effort: Effort, turn: int) -> None:
        """Send a turn's requests; each turn those that come after the last one's."""
        singles = traffic.take_singles(effort.singles, turn * effort.singles)
        batches = traffic.take_batches(effort.batches, turn * effort.batches)
        burst = traffic.take_singles(effort.burst, turn * effort.burst)
        with contextlib.ExitStack() as stack, undisturbed():
            # New ones each turn: the server closes those that idle while the other side is asked.
            first, *others = [
                stack.enter_context(Connection(self.address)) for _ in range(CONNECTIONS)
            ]
            self.singles += latencies(first, singles)
            self.rates.append(throughput([first, *others], burst))
            self.batches += latencies(first, batches)


@dataclass(frozen=True)
class _Round:
    """One round: both sides, and what is measured of the API's process alone (seconds, MB)."""

    api: _Side
    floor: _Side
    bare: float
    start: float
    resident: float
    grown: float


def measure(
    bundle: Path,
    folder: Path,
    rounds: int = ROUNDS,
    effort: Effort | None = None,
    image: Callable[[], Figure] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Results:
    """Serve the release in `bundle` and measure every figure in `rounds` rounds.

    `folder` takes logs; one line a round goes to `progress`. `image` measures the image's packages
    (`image_size`).

    Raises:
        ClientError, OSError: a process does not start, or does not answer as it should.
    """
    begun, load = datetime.now(UTC), os.getloadavg()[0]
    cores, traffic = choose_cores(), draw(KEY)
    found: list[_Round] = []
    with on_core(cores.client):
        # The first start compiles and reads from disk; every later one finds both done.
        with serve_api(bundle, folder, cores.server) as api:
            check(api.address, traffic)
        for number in range(1, rounds + 1):
            progress(f"round {number} of {rounds} …")
            found.append(_round(bundle, folder, cores, traffic, effort or Effort()))
    machine = Machine(
        processors=os.cpu_count() or 1,
        python=platform.python_version(),
        platform=platform.platform(),
        server_core=cores.server,
        client_core=cores.client,
        load=(load, os.getloadavg()[0]),
    )
    return Results(
        begun=begun.isoformat(timespec="seconds"),
        rounds=rounds,
        machine=machine,
        figures=(*_figures(found), (image or image_size)()),
    )


def _round(bundle: Path, folder: Path, cores: Cores, traffic: Traffic, effort: Effort) -> _Round:
    bare = bare_python(cores.server)
    with serve_api(bundle, folder, cores.server) as api:
        # Asked after batches, so that the floor's constant has all that an answer gets with time.
        check(api.address, traffic)
        with Connection(api.address) as connection:
            answer = answered(connection.ask(traffic.singles[0])).body
        with serve_floor(answer, folder, cores.server) as floor:
            check(floor.address, traffic)
            _compare(floor.address, traffic, answer)
            sides = _Side(api.address), _Side(floor.address)
            for turn in range(effort.turns):
                for side in sides if turn % 2 else reversed(sides):
                    side.take_turn(traffic, effort, turn)
        resident = api.megabytes()
        again = _Side(api.address)
        for turn in range(effort.turns):
            again.take_turn(traffic, effort, turn)
        grown = api.megabytes() - resident
        return _Round(*sides, bare, api.seconds, resident, grown)


def check(address: Address, traffic: Traffic) -> None:
    """Warm a server up, and see that it answers every record of a request.

    Raises:
        ClientError: it does not.
    """
    with Connection(address) as connection:
        for request in (*traffic.singles[:20], *traffic.batches[:3]):
            sent = len(json.loads(request.partition(b"\r\n\r\n")[2]))
            answer = json.loads(answered(connection.ask(request)).body)
            if len(answer["predictions"]) != sent:
                raise ClientError(f"{len(answer['predictions'])} predictions for {sent} records")


def _compare(floor: Address, traffic: Traffic, answer: bytes) -> None:
    """See that the floor's answer is as full as the API's.

    Raises:
        ClientError: it is not: the model of the answer lacks what the API gives.
    """
    with Connection(floor) as connection:
        constant = answered(connection.ask(traffic.singles[0])).body
    if _without_nulls(json.loads(constant)) != _without_nulls(json.loads(answer)):
        raise ClientError("the floor, made of app.models.Answer, does not answer what the API does")


def _without_nulls(value: Any) -> Any:
    # What is optional may be left out by one side and said to be nothing by the other.
    match value:
        case dict():
            fields = cast("dict[str, Any]", value)
            return {k: _without_nulls(each) for k, each in fields.items() if each is not None}
        case list():
            return [_without_nulls(each) for each in cast("list[Any]", value)]
        case _:
            return value


def _figures(rounds: Sequence[_Round]) -> list[Figure]:
    def medians(side: str, kind: str, scale: float = 1.0) -> list[float]:
        return [statistics.median(getattr(getattr(each, side), kind)) * scale for each in rounds]

    batches = [each.api.batches for each in rounds]
    return [
        Figure.ratio(
            "p50_1_record",
            medians("api", "singles", 1e3),
            medians("floor", "singles", 1e3),
            "ms",
        ),
        Figure.ratio(
            "p50_1000_records",
            medians("api", "batches", 1e3),
            medians("floor", "batches", 1e3),
            "ms",
        ),
        Figure.ratio(
            "requests_per_second",
            medians("api", "rates"),
            medians("floor", "rates"),
            "per_second",
        ),
        Figure.ratio(
            "p99_1000_records",
            [percentile(seconds, 0.99) * 1e3 for seconds in batches],
            [percentile(seconds, 0.5) * 1e3 for seconds in batches],
            "ms",
        ),
        Figure.ratio(
            "start_to_ready",
            [each.start * 1e3 for each in rounds],
            [each.bare * 1e3 for each in rounds],
            "ms",
        ),
        Figure.measured("resident_memory", [each.resident for each in rounds]),
        Figure.measured("memory_growth", [each.grown for each in rounds]),
    ]


def image_size() -> Figure:
    """Install the image's packages as the image does, pruned, and measure them."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            packages.install(_IMAGE_REQUIREMENTS, Path(folder))
        except packages.InstallError as error:
            return Figure.missing("site_packages", str(error))
        return Figure.measured("site_packages", [packages.measure(Path(folder)).total() / 1e6])
