"""Files: written whole or not at all; of others, opened only where they are files, and read as plain values."""

import errno
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from dlexp.errors import UserError

LARGEST = 2**28  # bytes that are read of a table or a note; a million steps are 100 MB
MOST_REPEATED = 10_000  # values that a YAML text may give again by aliases


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as OmegaConf reads it (1e-3 is a number, a key is given once), in a twentieth of its 16 ms a config."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for key, count in Counter(keys).items() if count > 1]:
            raise yaml.MarkedYAMLError(problem=f"{twice[0]} is given twice", problem_mark=node.start_mark)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        if None in mapping:
            raise yaml.MarkedYAMLError(problem="a key is empty", problem_mark=node.start_mark)
        return mapping


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def regular(path: str, flags: int) -> int:
    """Open a file for `open(…, opener=regular)`: one that is there, or is made there, and no link, queue or device.

    A link would let who made a folder choose what is read into a report, or cut and written elsewhere; a queue would
    make its reader wait for ever. Raises UserError for them, and OSError as it comes.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise
    else:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    raise UserError(f"{path} is a link, a folder or a device where a file should be: it was not opened.")


def read(path: Path) -> bytes:
    """Return a file's content; UserError where it is no regular one or too large, OSError as it comes."""
    with open(path, "rb", opener=regular) as file:
        if (size := os.fstat(file.fileno()).st_size) > LARGEST:
            raise UserError(f"{path} has {size:,} bytes, and was not read: {LARGEST:,} are the most.")
        return file.read()


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


def load_yaml(content: bytes | str) -> Any:
    """Return what a YAML text says, in plain values.

    Raises ValueError where it says nothing, is nested too deep, or has aliases that contain themselves or multiply.
    """
    try:
        value = yaml.load(content, _Loader)
        repeated: list[int] = []
        _nodes(value, {}, repeated)
        if sum(repeated) > MOST_REPEATED:
            raise ValueError("its aliases repeat too much.")
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    return value


def _nodes(value: Any, known: dict[int, int], repeated: list[int]) -> int:
    """Return how many values there are in one, and note in `repeated` how many each alias gives again."""
    if not isinstance(value, dict | list):
        return 1
    number = known.get(id(value))
    if number is None:
        known[id(value)] = 0
        inner = value.values() if isinstance(value, dict) else value
        number = known[id(value)] = 1 + sum(_nodes(each, known, repeated) for each in inner)
    elif number == 0:
        raise ValueError("an alias in it contains itself.")
    else:
        repeated.append(number)
    return number
