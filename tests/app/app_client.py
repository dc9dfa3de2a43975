"""An in-process client: Starlette's own one warns about httpx and has no types without httpx2."""

import asyncio
from typing import Any

import httpx
from starlette.types import ASGIApp

from app.api import Api

__all__ = ["Client"]


class Client:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **arguments)

        response = asyncio.run(send())
        if isinstance(self._app, Api):
            # What it would have written soon after.
            self._app.service.journal.write()
        return response

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        return self.request("GET", path, **arguments)

    def post(self, path: str, **arguments: Any) -> httpx.Response:
        return self.request("POST", path, **arguments)
