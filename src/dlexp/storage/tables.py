"""A table of a run: the training loop appends rows, and a resume cuts it back to its checkpoint."""

import csv
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from dlexp.storage.untrusted import open_regular, read_head


class Table:
    """A CSV file that only grows: rows are buffered, and are on disk after `sync`."""

    def __init__(self, path: Path, columns: Sequence[str], length: int = 0):
        """Open an empty table, or continue after the first `length` bytes of one that `check_head` has checked."""
        self.is_new = not length
        self._digest = hashlib.sha256(read_head(path, length))
        self._file: IO[str] = open_regular(path, "r+" if length else "w", newline="", encoding="utf-8")
        self._file.truncate(length)
        self._file.seek(length)
        self._columns, self._next_flush = columns, 0.0
        self._writer = csv.writer(self, lineterminator="\n")
        if not length:
            self._writer.writerow(columns)

    def append(self, row: Mapping[str, object]) -> None:
        """Append the columns' values from `row`; floats are written in full, so that equal text means equal bits."""
        self._writer.writerow([row[column] for column in self._columns])
        if time.monotonic() >= self._next_flush:
            self.flush()

    def write(self, text: str) -> None:
        """Append the text of a row, for `csv.writer`."""
        self._digest.update(text.encode())
        self._file.write(text)

    def flush(self) -> None:
        """Let other processes see the rows so far."""
        self._file.flush()
        self._next_flush = time.monotonic() + 1.0

    def sync(self) -> tuple[int, str]:
        """Bring every row to the disk; return the file's length in bytes and its SHA-256."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell(), self._digest.hexdigest()

    def close(self) -> None:
        """Flush and close."""
        self._file.close()

    def abandon(self) -> None:
        """Close after a failure, even if buffered rows cannot be written: a checkpoint needs only synced rows."""
        with suppress(OSError):
            self._file.close()
