"""Where the fleet's servers listen: on loopback addresses alone, thousands of them, and on some ports each."""

from __future__ import annotations

import random
from typing import Final

HOSTS_IN_A_NET: Final = 250
PORTS: Final = 16

FIRST_PORTS: Final = range(15000, 31000, PORTS)
"""Below where Linux picks the ports of outgoing connections from (32768 up)."""


def first_port() -> int:
    """The lowest port of a run, so that two runs at once don't meet."""
    return random.choice(FIRST_PORTS)  # noqa: S311 (chance, not secrecy)


def place(number: int, lowest_port: int) -> tuple[str, int]:
    """The address and port of the fleet's server with that number."""
    net, host = divmod(number, HOSTS_IN_A_NET)
    return f"127.1.{net}.{host + 1}", lowest_port + number % PORTS
