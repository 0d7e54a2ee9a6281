"""A cluster's DNS in small, for processes that have it as their resolver."""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from rig.process import RigError

if TYPE_CHECKING:
    from pathlib import Path

ADDRESSES = tuple(f"127.0.0.{last}" for last in range(70, 120))
"""Each is another host's on loopback: several servers run side by side."""
PORT = 53
A = 1
RESPONSE, NXDOMAIN = 0x8180, 0x8183
POINTER = 0xC00C
"""In place of a name: the one in the question."""


class Mood(StrEnum):
    """How it answers."""

    WELL = "well"
    """Every name exists, at 127.0.0.1."""
    EMPTY = "empty"
    """No name exists, as after a change of CoreDNS's configuration that has lost the cluster's zone."""
    SILENT = "silent"
    """It drops every packet."""


class NameServer:
    """Answers each question by its mood. Use it in a `with` block."""

    def __init__(self, mood: Mood = Mood.WELL) -> None:
        self.mood = mood
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = self._bind()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # not connected, but it wakes the thread up
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()

    def python(self, directory: Path) -> list[str]:
        """The command of a Python whose resolver it is, in a mount namespace of its own."""
        configuration = directory / "resolv.conf"
        configuration.write_text(f"nameserver {self.address}\noptions timeout:30\n")
        inside = f'mount --bind "{configuration}" /etc/resolv.conf && exec "$@"'
        return ["unshare", "-rm", "sh", "-c", inside, "sh", sys.executable]

    def _bind(self) -> str:
        """Take an address that no other server has."""
        for address in random.sample(ADDRESSES, len(ADDRESSES)):
            with contextlib.suppress(OSError):
                self._socket.bind((address, PORT))
                return address
        raise RigError(f"port {PORT} is taken at each of {ADDRESSES[0]} to {ADDRESSES[-1]}, or may not be listened at")

    def _serve(self) -> None:
        while True:
            question, asker = self._socket.recvfrom(4096)
            if not question:  # the socket was shut down
                return
            if self.mood is not Mood.SILENT:
                self._socket.sendto(self._answer(question), asker)

    def _answer(self, message: bytes) -> bytes:
        end = message.index(b"\0", 12) + 5  # of the name, the type and the class
        kind, _ = struct.unpack_from("!HH", message, end - 4)
        found = self.mood is Mood.WELL and kind == A
        flags = NXDOMAIN if self.mood is Mood.EMPTY else RESPONSE
        head = message[:2] + struct.pack("!HHHHH", flags, 1, int(found), 0, 0)
        address = struct.pack("!HHHIH4s", POINTER, A, 1, 5, 4, socket.inet_aton("127.0.0.1"))
        return head + message[12:end] + (address if found else b"")


def can_be_used() -> bool:
    """Whether a process can be given a resolver of its own here."""
    return bool(shutil.which("unshare")) and not subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode  # noqa: S607
