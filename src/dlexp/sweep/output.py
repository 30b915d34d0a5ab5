"""The words of a job itself: what a user's model prints, and a C library below Python, in a file where it is found."""

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dlexp.storage.untrusted import open_regular

OUTPUT = "output.log"  # in the run directory


@contextmanager
def captured(file: IO[bytes]) -> Iterator[None]:
    """Let what this process writes to its standard output and error go to `file`."""
    before = [os.dup(descriptor) for descriptor in (1, 2)]
    _flush()
    for descriptor in (1, 2):
        os.dup2(file.fileno(), descriptor)
    try:
        yield
    finally:
        _flush()
        for descriptor, original in zip((1, 2), before, strict=True):
            os.dup2(original, descriptor)
            os.close(original)


def keep(log: Path, run: Path | None) -> None:
    """Move what was captured in `log` to the end of the run's output.log; an empty log goes.

    Of a job that came to no run the log stays where it is.
    """
    said_something = log.stat().st_size > 0
    if said_something and run is None:
        return
    if said_something and run is not None:
        with open_regular(log) as words, open_regular(run / OUTPUT, "ab") as file:
            shutil.copyfileobj(words, file)
    log.unlink()


def _flush() -> None:
    """Write what Python and C still hold for the standard output and error."""
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)
