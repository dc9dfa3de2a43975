"""The floor: FastAPI's plain signature, which validates the records and answers a constant.

    python -m tests.bench_api.floor --port 8001 --answer answer.json

What it imports of the API is the shape of request and answer and uvicorn's settings, so that it
follows both. The constant is an answer of the API to one record: as full as the API's own. It is a
model and not a dictionary, which FastAPI would validate first: the cheaper floor is the harder one.
"""

import argparse
import asyncio
import gc
import socket
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from app.api import NO_TELEMETRY
from app.listener import listen_on
from app.models import Answer, record_model
from app.server import configuration
from contract.employee import FAIRNESS_ONLY

__all__ = ["create_floor", "main"]

_Employee = record_model(FAIRNESS_ONLY)


def create_floor(constant: Answer) -> FastAPI:
    """Build the application that gives `constant`'s prediction for every record."""
    app = FastAPI(title="Floor", telemetry=NO_TELEMETRY)

    # A name bound to a type made at run time is no type to a checker.
    @app.post("/predict", response_model=Answer)
    async def predict(records: list[_Employee]) -> Answer:  # pyright: ignore[reportInvalidTypeForm,reportUnusedFunction,reportUnknownParameterType]
        count = len(records)  # pyright: ignore[reportUnknownArgumentType]
        return constant.model_copy(update={"predictions": constant.predictions * count})

    @app.get("/health/ready")
    async def ready() -> None:  # pyright: ignore[reportUnusedFunction]
        """Say that the process answers."""

    return app


def main() -> None:
    """Serve on 127.0.0.1 until told to stop."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--answer", type=Path, required=True, help="the API's answer to one record")
    arguments = parser.parse_args()
    answer: Path = arguments.answer
    app = create_floor(Answer.model_validate_json(answer.read_bytes()))
    listening = listen_on(socket.AF_INET, ("127.0.0.1", arguments.port))
    # As the API's server does: the collector would otherwise be what tells the two apart.
    gc.collect()
    gc.freeze()
    asyncio.run(uvicorn.Server(configuration(app)).serve(sockets=[listening]))


if __name__ == "__main__":
    main()
