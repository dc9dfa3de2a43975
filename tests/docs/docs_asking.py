"""Requests to a serving process, and all of their answers."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.app.app_processes import JSON, KEY, Process


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(process: Process, route: str, body: bytes | None = None, **headers: str) -> Reply:
    connection = process.connect()
    method, path = route.split()
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    reply = Reply(answer.status, answer.headers, answer.read())
    connection.close()
    return reply


def predict(process: Process, *records: Mapping[str, Any], path: str = "/predict") -> Reply:
    body = json.dumps(records).encode()
    return ask(process, f"POST {path}", body, **JSON, **{"X-API-Key": KEY})
