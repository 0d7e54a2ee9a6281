"""Keeps the servers and what is measured on processors of their own.

The servers of a cluster are on other machines. Here the kernel likes to put the server that answers next on the processor of the one who
asked, and the more so the fewer servers there are and the sooner they answer. On two processors that made a probe of a hundred plain
targets a sixth cheaper, and one of ten thousand, or over TLS, hardly. That says nothing about the one who asks.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.fleet.fleet import Fleet


@contextmanager
def apart(*fleets: Fleet) -> Iterator[None]:
    """Within, the fleets run on the last of our processors, and what is started on the others. Nothing changes where there is only one."""
    if not hasattr(os, "sched_setaffinity") or len(ours := os.sched_getaffinity(0)) < 2:  # noqa: PLR2004 -- not on macOS
        yield
        return
    servers = {max(ours)}
    for fleet in fleets:
        fleet.keep_to(servers)
    os.sched_setaffinity(0, ours - servers)
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)
        for fleet in fleets:
            fleet.keep_to(ours)
