"""`python -m app.smoke --url URL --bundle DIR`: prove over HTTP that an API serves this release.

Replays the reference records that training stored in the release and compares the answers; as
hypothetical ones, which the API counts nowhere. The API key is read from API_KEY. Prints one JSON
line and exits 0; else one `error: ...` line that gives record numbers (from 0) and differences but
no field's value, and exits 1.
"""

import argparse
import http.client
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from app.answers import difference
from contract.release import REFERENCE, ReleaseError, verify

__all__ = ["SmokeError", "main"]

_BATCH = 1_000
_SINGLE = 3
_REQUEST_SECONDS = 10.0
_PAUSE_SECONDS = 0.2


class SmokeError(Exception):
    """The API does not answer as the release says it should."""


class _Api:
    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._parts = _split(url)
        self._key = key

    def call(
        self, method: str, path: str, content: Any = None, *, key: bool = True
    ) -> tuple[int, Any]:
        """Send one request on a connection of its own; return status and JSON content.

        Raises:
            SmokeError: nobody answers, or not in JSON.
        """
        parts = self._parts
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=_REQUEST_SECONDS)
        # Most reference records are odd on purpose, and nobody's: counted, every new release would
        # begin with an alarm.
        headers = {"Content-Type": "application/json", "X-Hypothetical": "true"}
        if key:
            headers["X-API-Key"] = self._key
        body = None if content is None else json.dumps(content).encode()
        try:
            connection.request(method, parts.path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except ConnectionRefusedError as error:
            raise SmokeError(f"{self.url}: connection refused: nothing listens there") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise SmokeError(f"{self.url}{path}: no answer: {reason}") from error
        except ValueError as error:
            raise SmokeError(f"{self.url}{path}: the answer is not JSON") from error
        finally:
            connection.close()

    def predict(self, records: list[Any]) -> tuple[str, list[Any]]:
        """Return the release's version and one prediction for each record.

        Raises:
            SmokeError: the answer is an error, or has another number of predictions.
        """
        status, answer = self.call("POST", "/predict", records)
        if status != 200:
            raise SmokeError(f"{self.url}/predict: {_status(status)}")
        try:
            release, predictions = answer["release"], list[Any](answer["predictions"])
        except (KeyError, TypeError) as error:
            raise SmokeError(f"{self.url}/predict: the answer holds no predictions") from error
        if len(predictions) != len(records):
            raise SmokeError(f"{len(predictions)} predictions for {len(records)} records")
        return release, predictions


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the test against one API; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m app.smoke", description=__doc__)
    parser.add_argument("--url", required=True, help="such as http://127.0.0.1:8000")
    parser.add_argument("--bundle", required=True, type=Path, help="the release's folder")
    parser.add_argument(
        "--timeout", type=float, default=30.0, help="seconds to wait for readiness (30)"
    )
    options = parser.parse_args(arguments)
    try:
        result = _run(options.url, options.bundle, options.timeout)
    except (SmokeError, ReleaseError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def _run(url: str, bundle: Path, timeout: float) -> dict[str, Any]:
    key = os.environ.get("API_KEY", "")
    if not key:
        raise SmokeError("API_KEY: not set; the test needs a key that the API accepts")
    sha256 = verify(bundle)
    tolerance, references = _references(bundle)
    api = _Api(url, key)
    _wait_ready(api, timeout)
    _check_release(api, sha256)
    _check_refusals(api)
    largest, release = 0.0, ""
    for first, batch in _batches(references):
        release, predictions = api.predict([reference["record"] for reference in batch])
        for number, (reference, prediction) in enumerate(zip(batch, predictions, strict=True)):
            difference = _compare(first + number, reference, prediction, tolerance)
            largest = max(largest, difference)
    return {
        "records": len(references),
        "max_difference": largest,
        "tolerance": tolerance,
        "release": release,
    }


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError as error:
        raise SmokeError("--url: expected such as http://127.0.0.1:8000") from error
    if not valid:
        raise SmokeError("--url: expected such as http://127.0.0.1:8000")
    return parts


def _references(bundle: Path) -> tuple[float, list[Any]]:
    try:
        content = json.loads((bundle / REFERENCE).read_bytes())
        tolerance, references = float(content["tolerance"]), list[Any](content["records"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SmokeError(f"{bundle / REFERENCE}: no reference records can be read") from error
    if not references:
        raise SmokeError(f"{bundle / REFERENCE}: holds no records")
    return tolerance, references


def _batches(references: list[Any]) -> Iterator[tuple[int, list[Any]]]:
    """Give the first records one by one, then all of them in as few requests as allowed."""
    for number in range(min(_SINGLE, len(references))):
        yield number, references[number : number + 1]
    for first in range(0, len(references), _BATCH):
        yield first, references[first : first + _BATCH]


def _wait_ready(api: _Api, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            status, _ = api.call("GET", "/health/ready")
            if status == 200:
                return
            reason = f"{api.url}/health/ready: {_status(status)}"
        except SmokeError as error:
            reason = str(error)
        if time.monotonic() >= deadline:
            raise SmokeError(f"not ready within {timeout:g} s: {reason}")
        time.sleep(_PAUSE_SECONDS)


def _check_release(api: _Api, sha256: str) -> None:
    status, answer = api.call("GET", "/release")
    if status != 200:
        raise SmokeError(f"{api.url}/release: {_status(status)}")
    if not isinstance(answer, dict) or answer.get("manifest_sha256") != sha256:  # pyright: ignore[reportUnknownMemberType]
        raise SmokeError(f"{api.url} serves another release than the one in --bundle")


def _check_refusals(api: _Api) -> None:
    for expected, key, what in ((401, False, "without a key"), (422, True, "with an empty record")):
        status, _ = api.call("POST", "/predict", [{}], key=key)
        if status != expected:
            raise SmokeError(f"a request {what} gets {_status(status)}, expected {expected}")


def _compare(number: int, reference: Any, prediction: Any, tolerance: float) -> float:
    try:
        expected = reference["answer"]
        probability, other = (each["attrition_probability"] for each in (expected, prediction))
    except (KeyError, TypeError) as error:
        raise SmokeError(f"record {number}: the prediction is incomplete") from error
    distance = difference(other, probability)
    # Not `distance > tolerance`: that lets a probability pass that is not a number.
    if not distance <= tolerance:
        raise SmokeError(
            f"record {number}: attrition_probability differs by {distance:.1e}, "
            f"tolerance {tolerance:g}"
        )
    for key in expected:
        if not difference(prediction.get(key), expected[key]) <= tolerance:
            raise SmokeError(f"record {number}: {key} differs")
    return distance


def _status(status: int) -> str:
    if status >= 500:
        return f"status {status}: the API fails"
    if status == 401:
        return "status 401: the API does not accept API_KEY"
    return f"status {status}"


if __name__ == "__main__":
    sys.exit(main())
