"""What is sent: real records of the packaged table, no two requests in a row the same."""

import json
import random
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, cast

from contract.dataset import PACKAGED
from tests.bench_api.client import post
from training.data.dataset import load

__all__ = ["PATH", "Traffic", "draw"]

PATH = "/predict"
BATCH = 1_000
"""Records of a batch: the most that the API takes."""

_BATCHES = 20
"""Different batches: 15 MB in all."""


@dataclass(frozen=True)
class Traffic:
    """Requests ready to be sent: of one record each, and of `BATCH` records each."""

    singles: tuple[bytes, ...]
    batches: tuple[bytes, ...]

    def take_singles(self, count: int, start: int = 0) -> list[bytes]:
        """Return `count` requests from place `start` on, beginning anew at the end."""
        return _take(self.singles, count, start)

    def take_batches(self, count: int, start: int = 0) -> list[bytes]:
        """Return `count` batches from place `start` on, beginning anew at the end."""
        return _take(self.batches, count, start)


def draw(key: str, seed: int = 1) -> Traffic:
    """Make requests of all rows of the packaged table, in an order of their own.

    A batch has no row twice; the same seed gives the same requests. `key` goes into each as
    `X-API-Key`, the floor's too, so that both read the same bytes.
    """
    chance = random.Random(seed)
    frame: Any = load(PACKAGED).features
    rows = cast("list[dict[str, Any]]", frame.to_dict("records"))
    chance.shuffle(rows)
    batches = [chance.sample(rows, BATCH) for _ in range(_BATCHES)]
    return Traffic(
        singles=tuple(_request([row], key) for row in rows),
        batches=tuple(_request(batch, key) for batch in batches),
    )


def _request(rows: list[dict[str, Any]], key: str) -> bytes:
    return post(PATH, json.dumps(rows).encode(), key)


def _take(requests: tuple[bytes, ...], count: int, start: int) -> list[bytes]:
    begin = start % len(requests)
    return list(islice(cycle(requests), begin, begin + count))
