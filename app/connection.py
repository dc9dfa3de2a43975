"""One connection: uvicorn's, with an end to waiting for a request.

uvicorn closes a connection that idles after an answer, and any byte ends that wait. So one that has
sent nothing yet, or half of a head, would be kept for ever, and its descriptor with it.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["Connection"]


class Connection(H11Protocol):
    """Gives the head of every request, the first one too, as long as an idle connection has."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - uvicorn's own
        """Begin to wait for the first request."""
        super().connection_made(transport)
        wait = self.timeout_keep_alive
        self.timeout_keep_alive_task = self.loop.call_later(wait, self.timeout_keep_alive_handler)

    def data_received(self, data: bytes) -> None:
        """Take in bytes; it is a whole head that ends the wait, in `handle_events`."""
        self.conn.receive_data(data)
        self.handle_events()
