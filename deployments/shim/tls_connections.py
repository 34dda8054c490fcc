"""Connections over TLS that end when the server does, also with clients that keep them and say nothing more."""

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

FAREWELL_SECONDS = 1.0  # for a client to take what was sent and to answer that the connection is closed


class TlsConnection(H11Protocol):
    """Do not wait for the client's close_notify, for which asyncio and uvloop give it 30 seconds."""

    is_leaving = False

    def shutdown(self) -> None:
        self.is_leaving = True
        super().shutdown()
        if self.transport.is_closing():
            self._leave()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.is_leaving:
            self._leave()

    def _leave(self) -> None:
        self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)


class TlsSocket(WebSocketsSansIOProtocol):
    """Do the same for a WebSocket, whose end the client has been told."""

    def shutdown(self) -> None:
        super().shutdown()
        # With a timer its transport is not closed a second time, after which asyncio's could not be aborted.
        self.close_timer = self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)
