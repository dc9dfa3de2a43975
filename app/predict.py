"""`POST /predict`: from bytes to bytes, with nothing in between but the contract and the release.

A plain ASGI endpoint: FastAPI's own way of taking a body would parse it before the key is looked
at, and make a model of every record and every answer, at twice the cost of scoring them. The API's
document describes it all the same (`app.document`), and tests hold the two together.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.types import Receive, Scope, Send

from app.admission import admit, make_room
from app.body import BODY_SECONDS, read_body
from app.deadline import Deadline
from app.problems import METHOD_DETAIL, ProblemError
from app.records import Batch, InvalidRecordsError, MalformedError
from app.service import Service
from app.telemetry import Exchange

__all__ = ["PATH", "Predict", "require_ready"]

PATH = "/predict"
_ON_ERROR = ("fail", "report")
_INVALID = "the request is not a batch of employee records; `errors` lists every place"
_encode = msgspec.json.Encoder().encode


class Predict:
    """The endpoint, for one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._deadline = Deadline(BODY_SECONDS)
        # One at a time: parsing takes some fifteen times the memory of a body, and the time of all.
        self._long_way = ThreadPoolExecutor(1, "long-way")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            ProblemError: whatever keeps the request from being answered.
        """
        exchange: Exchange = scope["state"]["exchange"]
        exchange.route = PATH
        if scope["method"] != "POST":
            raise ProblemError(405, METHOD_DETAIL, headers={"Allow": "POST"})
        await admit(self._service, scope)
        report = _reports(scope["query_string"])
        require_ready(self._service)
        exchange.hypothetical = _hypothetical(exchange)
        held = make_room(self._service, scope)
        try:
            batch = await self._read(await read_body(scope, receive, self._deadline), report=report)
            predictions = self._service.score(batch.codes)
        finally:
            self._service.in_flight.leave(held)
        exchange.records = len(predictions)
        exchange.outliers = sum([each["outlier"]["is_outlier"] for each in predictions])
        answer: dict[str, Any] = {
            "release": self._service.settings.release_version,
            "predictions": predictions,
            "drift": self._service.tally.drift(),
        }
        if report:
            every: list[Any] = [None] * batch.records
            for at, prediction in zip(batch.taken, predictions, strict=True):
                every[at] = prediction
            answer |= {"predictions": every, "errors": batch.errors}
        body = _encode(answer)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        # Nobody has to wait for it.
        if batch.taken and not exchange.hypothetical:
            self._service.tally.add(batch.codes, predictions)

    async def _read(self, body: bytes, *, report: bool) -> Batch:
        reader = self._service.reader
        batch = reader.short_way(body)
        if batch is not None:
            return batch
        try:
            loop = asyncio.get_running_loop()
            batch = await loop.run_in_executor(self._long_way, reader.long_way, body)
        except MalformedError as error:
            raise ProblemError(400, f"the body is {error}") from None
        except InvalidRecordsError as error:
            raise ProblemError(422, _INVALID, errors=error.errors) from None
        if batch.errors and not report:
            raise ProblemError(422, _INVALID, errors=batch.errors)
        return batch


def require_ready(service: Service) -> None:
    """Refuse to answer from a release that did not answer its reference records right."""
    if not service.ready:
        raise ProblemError(503, "the release did not answer its reference records as it should")


def _hypothetical(exchange: Exchange) -> bool:
    """Say whether the records are nobody's, and are to be counted nowhere."""
    given = exchange.headers.get(b"x-hypothetical")
    if given not in (None, b"true", b"false"):
        raise ProblemError(422, "X-Hypothetical: expected true or false")
    return given == b"true"


def _reports(query: bytes) -> bool:
    """Say whether records that are wrong are to be reported beside the answers to the others."""
    if not query:
        return False
    asked = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("on_error", ["fail"])
    if len(asked) != 1 or asked[0] not in _ON_ERROR:
        raise ProblemError(422, f"on_error: expected one of {', '.join(_ON_ERROR)}")
    return asked[0] == "report"
