"""Stand-ins for what a connection has around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from isvcwatch.client.transport.parser import Parsers
from isvcwatch.client.transport.secure import Pipes

if TYPE_CHECKING:
    from isvcwatch.client.transport.connection import Connection


@dataclass
class Wire:
    """The TCP connection: keeps what is written."""

    sent: bytearray = field(default_factory=bytearray)
    closed: bool = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


class Owner:
    """Keeps the connections that were freed."""

    resets = False

    def __init__(self) -> None:
        self.freed: list[Connection] = []
        self.parsers = Parsers()
        self.pipes = Pipes()

    def free(self, connection: Connection) -> None:
        self.freed.append(connection)

    def closed(self, connection: Connection) -> None:
        """Need not know."""
