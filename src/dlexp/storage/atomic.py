"""Write files completely or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file so that it has all of the old or all of the new content whenever the process dies.

    Content → temporary file in the same directory → fsync → rename → fsync of the directory; the two fsyncs guard
    against power loss and are left out if not `durable`. Lets an OSError pass.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        partial.unlink(missing_ok=True)
        with partial.open("xb") as file:  # x follows no link in its place
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def clear_partial(files: Iterable[Path]) -> None:
    """Delete half-written files except those of other living processes, which draw pictures without the lock.

    Files that `write_atomically` did not name are kept.
    """
    for partial in files:
        number = partial.name.split(".")[-2]
        ours = number.isdecimal() and (partial.is_file() or partial.is_symlink())
        if ours and (number == str(os.getpid()) or not lives(number)):
            partial.unlink(missing_ok=True)


def lives(number: str) -> bool:
    """Whether a process with this number exists."""
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def sync_folder(path: Path) -> None:
    """Bring a folder's entries to the disk: after power loss, a synced file is found only if its name is synced too."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
