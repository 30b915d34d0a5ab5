"""Signals that end what is under way, in good order. A second one of them ends it at once.

SIGINT is Ctrl-C's, SIGTERM an operating system's or `kill`'s, SIGUSR1 a batch system's before the time is up.
"""

import os
import signal
import threading
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """While entered, catches the signals; `signal` is the one that came, or None.

    One that came after the last time that somebody asked is passed on at the end, to whoever would have got it.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._told = False
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether a signal came."""
        self._told = self.signal is not None
        return self._told

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # Python delivers signals to no other
            self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.signal is not None and not self._told:
            os.kill(os.getpid(), self.signal)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(128 + number)  # whatever hangs would hang an orderly end too; the last checkpoint is whole
        self.signal = number


class Interruption(StopRequest):
    """While entered, a signal raises KeyboardInterrupt: where nothing has to be saved, but files to be put away."""

    def _handle(self, number: int, frame: FrameType | None) -> None:
        super()._handle(number, frame)
        self._told = True
        raise KeyboardInterrupt
