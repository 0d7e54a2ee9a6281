"""Three InferenceServices on a real API server, real model servers behind them, the operator beside; one model falls ill.

python -m demo [--keep]
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from demo.play import play
from demo.stage import Stage
from rig.process import RigError
from tools.envs import MissingError, say

if TYPE_CHECKING:
    from types import FrameType


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--keep", action="store_true", help="stay at the end, for you to look around, until Ctrl-C")
    keep = parser.parse_args().keep
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="isvcwatch-demo-") as directory, contextlib.ExitStack() as stack:
            stage = Stage.set_up(stack, Path(directory))
            play(stage)
            if keep:
                stage.invite()
                threading.Event().wait()
    except KeyboardInterrupt:
        say("stopped; nothing is left running")
        return 130
    except (RigError, MissingError) as error:
        say(str(error))
        return 1
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Clean up on SIGTERM as on Ctrl-C."""
    raise KeyboardInterrupt


sys.exit(main())
