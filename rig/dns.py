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
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from rig.process import RigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ADDRESSES = tuple(f"127.0.0.{last}" for last in range(70, 120))
"""Each is another host's on loopback: several servers run side by side."""
PORT = 53
A, CNAME = 1, 5
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
    """Answers each question by its mood. Use it in a `with` block.

    Args:
        mood: how it answers.
        aliases: names that lead to another name, as those of Services of type ExternalName do.
    """

    def __init__(self, mood: Mood = Mood.WELL, aliases: Mapping[str, str] = MappingProxyType({})) -> None:
        self.mood = mood
        self.aliases = aliases
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

    def mood_of(self, name: str) -> Mood:
        """How it answers for a name."""
        del name
        return self.mood

    def _serve(self) -> None:
        while True:
            question, asker = self._socket.recvfrom(4096)
            if not question:  # the socket was shut down
                return
            end = question.index(b"\0", 12) + 5  # of the name, the type and the class
            name = _read(question[12 : end - 4])
            if (mood := self.mood_of(name)) is not Mood.SILENT:
                self._socket.sendto(self._answer(question, end, name, mood), asker)

    def _answer(self, message: bytes, end: int, name: str, mood: Mood) -> bytes:
        kind, _ = struct.unpack_from("!HH", message, end - 4)
        found = mood is Mood.WELL and kind == A
        flags = NXDOMAIN if mood is Mood.EMPTY else RESPONSE
        led_to = _written(self.aliases.get(name, "")) if found else b""
        head = message[:2] + struct.pack("!HHHHH", flags, 1, int(found) + bool(led_to), 0, 0)
        alias = struct.pack("!HHHIH", POINTER, CNAME, 1, 5, len(led_to)) + led_to if led_to else b""
        address = (led_to or struct.pack("!H", POINTER)) + struct.pack("!HHIH4s", A, 1, 5, 4, socket.inet_aton("127.0.0.1"))
        return head + message[12:end] + alias + (address if found else b"")


def _read(name: bytes) -> str:
    """A name as DNS writes it, as text."""
    labels = []
    while name and name[0]:
        labels.append(name[1 : 1 + name[0]].decode())
        name = name[1 + name[0] :]
    return ".".join(labels)


def _written(name: str) -> bytes:
    """A name as DNS writes it; nothing for no name."""
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0" if name else b""


def can_be_used() -> bool:
    """Whether a process can be given a resolver of its own here."""
    return bool(shutil.which("unshare")) and not subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode  # noqa: S607
