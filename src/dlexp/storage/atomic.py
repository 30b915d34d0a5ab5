"""Files that are written whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file so that, whenever the process dies, the old or the new content is there in full.

    Content → temporary file in the same directory → fsync → rename → fsync of the directory; the two fsyncs guard
    against power loss and are left out where not `durable`. Raises OSError as it comes.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        partial.unlink(missing_ok=True)
        with partial.open("xb") as file:  # x follows no link that somebody put there
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
    """Delete half-written files, but for those of other processes that live: pictures are drawn without the lock.

    What is not named as `write_atomically` does is somebody else's.
    """
    for partial in files:
        number = partial.name.split(".")[-2]
        ours = number.isdecimal() and (partial.is_file() or partial.is_symlink())
        if ours and (number == str(os.getpid()) or not lives(number)):
            partial.unlink(missing_ok=True)


def lives(number: str) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def sync_folder(path: Path) -> None:
    """Bring a folder's entries to the disk: a file that is synced is found again only where its name is there too."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
