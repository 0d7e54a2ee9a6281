"""A server that answers with whatever bytes it is given: what no well-behaved server sends."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self

from rig.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class RawServer:
    """Listens on loopback; sends its bytes, or what it makes of the request, then closes. Counts who came. Use it in a `with` block."""

    def __init__(self, answer: bytes | Callable[[bytes], bytes], port: int = 0, host: str = "127.0.0.1") -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self._listening = socket.create_server((host, port or free_port()))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    def says(self, request: bytes) -> bytes:
        """What it sends for a request."""
        return self.answer if isinstance(self.answer, bytes) else self.answer(request)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.settimeout(5)
                    request = connection.recv(65536)
                    self.requests.append(request)
                    connection.sendall(self.says(request))
                except OSError:
                    continue


def answer(status: int, body: bytes = b"", content_type: str = "application/json") -> bytes:
    """A well-formed HTTP answer."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def READY(request: bytes) -> bytes:  # noqa: N802 -- an answer like the others
    """KServe's yes, which names the model that was asked for."""
    asked = re.match(rb"GET /v[12]/models/([^ /]+)", request)
    return answer(200, b'{"name":"%s","ready":true}' % (asked[1] if asked else b"m"))


NOT_READY = answer(503, b'{"error":"Model with name iris is not ready."}')
"""KServe's no."""


@contextmanager
def dropping() -> Iterator[int]:
    """A port of which connections are neither taken up nor refused, as where packets are dropped: its queue is full."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = int(listening.getsockname()[1])
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port
