"""Signals that stop a job in an orderly way. A second signal ends the process at once.

Ctrl-C sends SIGINT, the operating system or `kill` SIGTERM, a batch system SIGUSR1 before its time limit.
"""

import os
import signal
import threading
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """While entered, catches the signals; `signal` is the one that came, or None.

    If a signal comes after the last call, it is sent again at the end, to the previous handler.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._told = False
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Return whether a signal came."""
        self._told = self.signal is not None
        return self._told

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # only the main thread may set handlers
            self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.signal is not None and not self._told:
            os.kill(os.getpid(), self.signal)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(128 + number)  # a hanging job would hang an orderly end too; the last checkpoint is whole
        self.signal = number


class Interruption(StopRequest):
    """While entered, a signal raises KeyboardInterrupt: for work that saves nothing but cleans up its files."""

    def _handle(self, number: int, frame: FrameType | None) -> None:
        super()._handle(number, frame)
        self._told = True
        raise KeyboardInterrupt
