"""Files that somebody else may have made: opened only where they are files, and read as plain values."""

import errno
import os
import re
import stat
from collections import Counter
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
