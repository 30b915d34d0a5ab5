"""A job's own output, printed by a user's model or a C library, in a file of its run directory."""

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
    """Redirect this process's standard output and error to `file`."""
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
    """Move the content of `log` to the end of the run's output.log; delete an empty log.

    If the job left no run, the log stays in place.
    """
    said_something = log.stat().st_size > 0
    if said_something and run is None:
        return
    if said_something and run is not None:
        with open_regular(log) as words, open_regular(run / OUTPUT, "ab") as file:
            shutil.copyfileobj(words, file)
    log.unlink()


def _flush() -> None:
    """Flush the buffers of Python and C for standard output and error."""
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)
