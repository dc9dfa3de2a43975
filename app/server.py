"""uvicorn, with a private address from the start and a public one that comes and goes."""

import asyncio
import gc
import signal
import socket
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.types import ASGIApp

from app.connection import Connection
from app.control import Control
from app.handover import Handover, Identity
from app.listener import Listener
from app.log import describe, emit
from app.service import Service

if TYPE_CHECKING:
    from app.otlp import Exporter

__all__ = ["GRACE_SECONDS", "KEEP_ALIVE_SECONDS", "configuration", "run"]

KEEP_ALIVE_SECONDS = 5
"""An idle connection is closed after this; a drained process has none left soon after."""
GRACE_SECONDS = 5
"""How long requests in flight may take after SIGTERM."""


def configuration(app: ASGIApp) -> uvicorn.Config:
    """Say how uvicorn serves `app`; what the API is compared with is served the same way."""
    return uvicorn.Config(
        app,
        # Named, not found: what happens to be installed elsewhere must not change what is tested.
        loop="asyncio",
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def run(
    app: ASGIApp,
    service: Service,
    private: socket.socket,
    control: tuple[Path, socket.socket] | None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight and return.

    `private` listens already; `control` is the control socket and its path.
    """
    server = _Server(configuration(app), service, control)
    # uvicorn raises the signal again when it is done, for the handler that was there before: with
    # the default one the process would end as killed instead of with exit code 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.stop)
    asyncio.run(_serve(server, private))
    # Requests that were cut short have written theirs by now.
    service.journal.write()


async def _serve(server: "_Server", private: socket.socket) -> None:
    asyncio.get_running_loop().set_exception_handler(_log_loop_error)
    await server.serve(sockets=[private])


def _log_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    emit("loop_error", **(describe(error) if error else {"message": context["message"]}))


class _Server(uvicorn.Server):
    """uvicorn's server; the seams to its insides are `startup`, `shutdown` and `_take`."""

    def __init__(
        self, config: uvicorn.Config, service: Service, control: tuple[Path, socket.socket] | None
    ) -> None:
        super().__init__(config)
        self._service = service
        self._control_socket = control
        self._control: Control | None = None
        self._handover: Handover | None = None
        self._exporter = _exporter(service)
        self._settling: asyncio.Task[None] | None = None
        self._private: Listener | None = None
        self._arriving: set[asyncio.Task[object]] = set()

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Handle a signal that comes before or after uvicorn's own handlers are in place."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # Accepting is left to `app.listener`: with no descriptor left, asyncio's own goes on trying
        # in the same moment, thousands of times, each with a line in the log.
        await super().startup([])
        if sockets:
            self._private = Listener(sockets[0], self._take, self._arriving)
        # What start-up made lives as long as the process: the collector need never look at it.
        gc.freeze()
        gc.enable()
        self._settling = asyncio.create_task(self._settle())
        if self._exporter:
            self._exporter.start()
        if self._control_socket and sockets:
            path, listening = self._control_socket
            self._handover = Handover(
                service=self._service,
                identity=Identity(
                    instance=path.stem, control=str(path), private_url=_url(sockets[0])
                ),
                serve=self._take,
                arriving=self._arriving,
                open_connections=lambda: len(self.server_state.connections),
            )
            self._control = Control(path, listening, self._handover.answer)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.draining = True
        if self._control and self._handover:
            self._control.close()
            self._handover.stop()
        if self._private:
            self._private.close()
        if self._arriving:
            await asyncio.wait(self._arriving)
        await super().shutdown(sockets)
        if self._settling:
            self._settling.cancel()
        self._service.tally.close()
        if self._exporter:
            await self._exporter.stop()

    async def _settle(self) -> None:
        # What is kept must not wait for the next request, which may come tomorrow. uvicorn's own
        # `callback_notify` goes by the time of day, and rests for an hour when that is set back.
        while True:
            await asyncio.sleep(1)
            try:
                self._service.tally.settle()
            except Exception as error:
                emit("error", **describe(error))

    async def _take(self, connection: socket.socket) -> None:
        """Give an accepted connection to uvicorn, as the closure in its `startup` does.

        Not through `loop.create_server` and `self.servers`: see `app.listener`. A connection
        enters `server_state.connections` either way, which is all that uvicorn's shutdown needs.
        """
        protocol: Any = self.config.http_protocol_class
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: protocol(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            ),
            connection,
        )


def _exporter(service: Service) -> "Exporter | None":
    endpoint = service.settings.otlp_endpoint
    if endpoint is None:
        return None
    # Imported where it is needed: most processes send to nobody.
    from app.otlp import Exporter

    return Exporter(
        endpoint, service.settings.release_version, lambda: service.settled_metrics().collect()
    )


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
