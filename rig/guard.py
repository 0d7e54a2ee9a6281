"""Becomes another program that dies with the process that asked for it: `guard.py PARENT COMMAND...`. Standard library only.

A test run that is killed outright can't clean up, so the kernel does it (PR_SET_PDEATHSIG); elsewhere than on Linux nothing does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was told
        raise SystemExit(1)
    os.execvp(command[0], command)  # noqa: S606 (the command is ours)


if __name__ == "__main__":
    main()
