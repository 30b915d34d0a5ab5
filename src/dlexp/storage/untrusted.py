"""Guards against files that a stranger made or that are damaged. Other modules trust the files they read.

The threats, and the functions that refuse them:

- A stranger provides a run directory, a config or a checkpoint to run code, to have another file read or overwritten,
  or to keep the machine busy. `open_regular`, `is_regular` and `refuse_link` refuse links, queues and devices;
  `read_bytes` and `read_at_most` refuse large files; `load_yaml` and `load_json` refuse tags that construct
  objects, deep nesting and aliases that multiply; `refuse_interpolations` refuses ${…}, which could read the
  environment; `load_tensors` refuses pickles that call functions and archives that claim more than they hold.
- A stranger writes to a shared folder of configs or data: `refuse_alias_bombs` and `map_array`.
- A server sends another archive than the published one: `load_pickled_arrays` and `read_at_most`.
- A stranger's picture is to be predicted: `data.given.pictures` decodes common formats only, and not too many pixels.
- A disk flips bits, a crash cuts a file, a person edits one: `check_seal` and `check_head` compare the content with the
  SHA-256 that was stored when it was written (by `storage.sealed`, `storage.tables`, `runs.directory`, `data.store`).

There is no guard against: forgery, because whoever can write a file can write its SHA-256 (a stranger's figures are
only a claim); links in the folders above a file and links to datasets, which users need to keep outputs and data on
another disk; a folder that is replaced by a link between the check and the use; faults in the parsers of PyTorch,
NumPy, SciPy and libyaml; a checkpoint as large as the memory.

Guards that depend on the meaning of a key or a value are in other modules: which environment variables a config may
show (`config.composition`), which modules are the user's own (`config.code`), which classes Hydra's plugins may name
(`sweep.launchers`), whether arrays fit a dataset (`data.store`) or tensors fit a job (`training.session`), how the
report escapes text (`report.page`).
"""

import errno
import hashlib
import io
import json
import os
import pickle
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import yaml

from dlexp.errors import UserError

LARGEST = 2**28  # bytes that are read from a table, a config or a note; a table of a million steps has 100 MB
MOST_REPEATED = 10_000  # values that aliases may repeat in a YAML text
_SHORT = 2000  # bytes; a shorter YAML text cannot be nested too deep
_ARRAYS = {  # the names in pickles of NumPy's arrays, from Python 2 or 3
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


# --- Links, queues, devices; sizes ---


def open_regular(path: Path, mode: str = "rb", **options: Any) -> IO[Any]:
    """Open a file as `open` does, but raise UserError if it is a link, a queue or a device. Lets an OSError pass.

    With a link, the maker of a folder could choose a file elsewhere that a report shows or that is overwritten; a queue
    would make its reader wait for ever.
    """
    return open(path, mode, opener=_regular, **options)


def _regular(path: str, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise
    else:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    raise UserError(f"{path} is a link, a folder or a device instead of a file: it was not opened.")


def is_regular(path: Path) -> bool:
    """Whether `path` is a file, and not a link."""
    return path.is_file() and not path.is_symlink()


def refuse_link(path: Path, why: str) -> None:
    """Raise UserError, stating `why`, if a folder that dlexp writes to is a link."""
    if path.is_symlink():
        raise UserError(f"{path} is a link: {why}")


def read_bytes(path: Path) -> bytes:
    """Return a file's content; raise UserError if it is not a regular file or is too large. Lets an OSError pass."""
    with open_regular(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > LARGEST:
            raise UserError(f"{path} has {size:,} bytes, and was not read: at most {LARGEST:,} are allowed.")
        return bytes(file.read())


def read_at_most(file: IO[bytes] | io.BufferedIOBase, most: int = LARGEST) -> bytes:
    """Return the rest of a pipe or a packed file of unknown size; raise ValueError if it exceeds `most` bytes."""
    content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most:,} bytes.")
    return content


# --- YAML and JSON ---


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads YAML as OmegaConf does (1e-3 is a number, keys are unique), in a twentieth of its 16 ms a config."""

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


def load_yaml(content: bytes | str) -> Any:
    """Return the plain values in a YAML text.

    Raises ValueError if it is not YAML, is nested too deep, or has aliases that contain themselves or multiply.
    """
    try:
        loader = _Loader(content)
        node = _composed(loader)
        return None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from None


def _composed(loader: _Loader) -> Any:
    node, repeated = loader.get_single_node(), list[int]()
    _count(node, {}, repeated)
    if sum(repeated) > MOST_REPEATED:
        raise ValueError("its aliases repeat too much.")
    return node


def _count(node: Any, known: dict[int, int], repeated: list[int]) -> int:
    """Return the number of values in a node, and append to `repeated` the number that each alias repeats."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if (number := known.get(id(node))) is not None:
        if number == 0:
            raise ValueError("an alias in it contains itself.")
        repeated.append(number)
        return number
    known[id(node)] = 0
    inner = [pair[1] for pair in node.value] if isinstance(node, yaml.MappingNode) else node.value
    known[id(node)] = 1 + sum(_count(each, known, repeated) for each in inner)
    return known[id(node)]


def load_json(content: bytes) -> Any:
    """Return the values in a JSON text; raise ValueError if it is not JSON, or is nested too deep."""
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError(str(error)) from None


def refuse_interpolations(mapping: Any) -> None:
    """Raise ValueError if a text in a saved config has ${…}, which could read the environment."""
    if any("${" in text for text in _texts(mapping)):
        raise ValueError("a saved config holds values and no ${…}; put configs with ${…} into ./conf.")


def _texts(value: Any) -> Iterator[str]:
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from _texts(each)
    if isinstance(value, str):
        yield value


def refuse_alias_bombs(folder: Path) -> None:
    """Raise UserError if a YAML file below `folder`, which Hydra may load, has aliases that multiply."""
    for file in folder.rglob("*.yaml"):
        content = file.read_bytes() if file.is_file() else b""
        if b"*" in content or len(content) > _SHORT:
            try:
                _composed(_Loader(content))
            except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
                continue  # Hydra does not load it either, and says so if the config chooses it
            except ValueError as error:
                raise UserError(f"{file} is not a config: {error}") from None


# --- Seals: the SHA-256 of a content, stored with it (see `sealed`) ---


def seal(content: bytes | str) -> str:
    """Return the SHA-256 of a content in hexadecimal digits."""
    return hashlib.sha256(content.encode(errors="replace") if isinstance(content, str) else content).hexdigest()


def check_seal(path: Path, found: object, content: bytes | str) -> None:
    """Raise UserError if the seal in a file does not match its content."""
    if found != seal(content):
        raise UserError(f"{path} was edited, or is damaged: its content does not match its SHA-256.")


def check_head(path: Path, length: int, digest: str | None) -> None:
    """Raise UserError if a table is shorter than a checkpoint states, or so many bytes have another SHA-256.

    `digest` is None in checkpoints of older versions.
    """
    head = read_head(path, length)
    if len(head) != length or (digest and hashlib.sha256(head).hexdigest() != digest):
        raise UserError(f"{path} is not as it was when the checkpoint was saved: it was changed, or is damaged.")


def read_head(path: Path, length: int) -> bytes:
    """Return the first `length` bytes of a file, fewer if it is shorter, none if it does not exist."""
    if not length or not path.is_file():
        return b""
    with open_regular(path) as file:
        return bytes(file.read(min(length, os.fstat(file.fileno()).st_size)))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file. It follows links, because a SHA-256 reveals nothing else of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- Pickles: tensors and arrays ---


def load_tensors(archive: bytes) -> Any:
    """Return the tensors and plain values that `torch.save` wrote, on the CPU.

    Raises ValueError if a pickle in it names anything else, it is damaged, or it claims to hold more than it does.
    """
    import torch

    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            members = opened.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed")  # torch.save compresses nothing
        if sum(member.file_size for member in members) > len(archive):
            raise ValueError("it is shorter than its parts")
        return torch.load(io.BytesIO(archive), weights_only=True, map_location="cpu")
    except pickle.UnpicklingError:
        raise ValueError("holds more than tensors and plain values, and was not opened.") from None
    except (zipfile.BadZipFile, RuntimeError, ValueError, TypeError, KeyError, RecursionError, EOFError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"is not an archive of tensors: {reason}.") from None


def map_array(path: Path) -> Any:
    """Return the array in a .npy file, memory-mapped; raise ValueError if it is damaged or holds a pickle."""
    import numpy as np

    try:
        # Mode c (copy on write) shares pages between processes like r, and torch does not warn of read-only memory.
        return np.load(path, mmap_mode="c", allow_pickle=False)
    except (EOFError, OSError, OverflowError, SyntaxError) as error:
        raise ValueError(str(error)) from None


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return a function or class that pickled arrays need; raise UnpicklingError for any other name."""
        if (module, name) not in _ARRAYS:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)


def load_pickled_arrays(content: bytes) -> Any:
    """Return the arrays and plain values in a pickle; raise ValueError if it names anything else to call."""
    try:
        return _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise ValueError(str(error)) from None
