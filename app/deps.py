"""What the endpoints ask for: the service, and the records of a request's body."""

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from pydantic import BaseModel, ValidationError

from app.models import BATCH, record_errors
from app.problems import InvalidRecordsError
from app.service import Service

__all__ = ["MAX_BODY_BYTES", "Records", "ServiceDep"]

MAX_BODY_BYTES = 2 * 1024 * 1024
"""A batch of 1,000 full records is about 0.8 MiB."""


async def _service(request: Request) -> Service:
    return request.app.state.service


ServiceDep = Annotated[Service, Depends(_service)]


async def _records(request: Request) -> list[BaseModel]:
    # Read here and not by a body parameter: FastAPI parses those before it looks at the key.
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"a request may hold {MAX_BODY_BYTES} bytes")
    try:
        records = BATCH.validate_json(body)
    except ValidationError as error:
        raise InvalidRecordsError(record_errors(error)) from None
    request.state.records = len(records)
    return records


Records = Annotated[list[BaseModel], Depends(_records)]
