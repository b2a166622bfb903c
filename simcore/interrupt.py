"""Ctrl-C in a command: 130 and one line, at once and at any moment.

A ``KeyboardInterrupt`` would be swallowed where it strikes inside a callback of the interpreter, and printed as a
traceback while modules are loaded. Only a run in progress takes Ctrl-C otherwise (``simcore.sweep.execute``).
"""

from __future__ import annotations

import os
import signal
from types import FrameType

INTERRUPTED = 130


def stop(number: int, frame: FrameType | None) -> None:
    """End the process at once; what is finished is in its files, which are whole or not there."""
    os.write(2, b"simcore: stopped; everything finished is kept\n")
    os._exit(INTERRUPTED)


def stop_at_once() -> None:
    """Let Ctrl-C end this process, from now on and whatever it does."""
    signal.signal(signal.SIGINT, stop)
