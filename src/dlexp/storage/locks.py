"""Lock files: one process holds a file, and its lock ends with the process."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlexp.errors import UserError
from dlexp.storage.atomic import lives
from dlexp.storage.untrusted import is_regular, open_regular

_LOOK_AGAIN, _AT_MOST = 0.1, 2.0  # seconds


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold the file at `path`, and write the process's number into it.

    Raises UserError with the number of the process that holds it. Waits before that until the number is unchanged: it
    may come from an earlier holder that was killed, and `is_held` in another process holds the file for a moment.
    """
    with open_regular(path, "a+") as file:
        deadline, before = time.monotonic() + _AT_MOST, ""
        while not taken(file.fileno()):
            file.seek(0)
            number = file.read().strip()
            if (number and number == before and lives(number)) or time.monotonic() > deadline:
                raise UserError(f"{what} is in use by process {number or 'of unknown number'}.")
            before = number
            time.sleep(_LOOK_AGAIN)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


@contextmanager
def awaited(path: Path) -> Iterator[None]:
    """Wait until no other process holds the file at `path`, and hold it."""
    with open_regular(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_held(path: Path) -> bool:
    """Whether a process holds the file at `path` now."""
    if not is_regular(path):
        return False
    with path.open() as file:
        return not taken(file.fileno(), fcntl.LOCK_SH)


def taken(file: int, how: int = fcntl.LOCK_EX) -> bool:
    """Take a lock on an open file (exclusive, or shared with `fcntl.LOCK_SH`); False if another process has it."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
