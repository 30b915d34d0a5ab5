"""Checkpoints: the complete state, saved atomically and loaded verified.

A checkpoint is what `torch.save` writes, with the SHA-256 of it as the ZIP archive's comment: `torch.load` opens it
as it is, and damage, which torch.load does not look for, is found here.
"""

import hashlib
import io
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dlexp.errors import UserError
from dlexp.runs.directory import RunDirectory
from dlexp.storage.atomic import write_atomically
from dlexp.storage.untrusted import regular

FORMAT = 1
KEPT = 2
_WHOLE = {"model", "optimizer", "scheduler", "random", "progress", "totals", "best_weights", "lengths"}
_DIGEST_LENGTH = 64
_LENGTH = struct.pack("<H", _DIGEST_LENGTH)
_TRAILER = len(_LENGTH) + _DIGEST_LENGTH


@dataclass
class Progress:
    """Where a run is: `position` steps into the epoch after the `epoch` whole ones."""

    epoch: int = 0
    position: int = 0
    step: int = 0
    epoch_seconds: float = 0.0
    training_seconds: float = 0.0
    best_epoch: int | None = None
    best_value: float | None = None
    epochs_without_improvement: int = 0


def save(run: RunDirectory, state: dict[str, Any], *, name: str) -> None:
    """Write `checkpoints/<name>`, and keep the newest two of the run's course.

    Raises OSError where it cannot be written; the checkpoints before it are then untouched.
    """
    write_atomically(run.path / "checkpoints" / name, _serialize(state))
    run.keep_checkpoints(KEPT)


def load(path: Path) -> dict[str, Any]:
    """Return the state in a checkpoint, tensors on the CPU.

    Raises UserError where it is missing, damaged, or written by a later version of dlexp.
    """
    try:
        with open(path, "rb", opener=regular) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TRAILER))
            if file.read(2) != _LENGTH:  # looked at first: something large that is no checkpoint is not read
                raise UserError(f"{path} is damaged: it does not end as a checkpoint does.")
            file.seek(0)
            content = file.read()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    body, digest = content[:-_DIGEST_LENGTH], content[-_DIGEST_LENGTH:]
    archive = body[:-2] + b"\0\0"  # the length of the comment, as torch.save wrote it
    if hashlib.sha256(archive).hexdigest().encode() != digest:
        raise UserError(f"{path} is damaged: its content does not match its SHA-256.")
    try:
        _check_members(archive)
        state: dict[str, Any] = torch.load(io.BytesIO(archive), weights_only=True, map_location="cpu")
    except pickle.UnpicklingError:
        raise UserError(f"{path} holds more than tensors and plain values, and was not opened.") from None
    except (zipfile.BadZipFile, RuntimeError, ValueError, TypeError, KeyError, RecursionError, EOFError) as error:
        raise UserError(f"{path} is no archive of tensors: {str(error).splitlines()[0]}.") from None
    if not isinstance(state, dict) or not isinstance(state.get("format"), int):
        raise UserError(f"{path} is not a checkpoint of dlexp.")
    if state["format"] > FORMAT:
        raise UserError(f"{path} has format {state['format']}, but this dlexp knows {FORMAT}: install a later one.")
    return state


def latest(
    run: RunDirectory, check: Callable[[Path, dict[str, Any]], None] = lambda path, state: None
) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the newest whole checkpoint of a run (None where none was ever written), and warnings of damaged ones.

    `check` raises UserError for one that is whole but cannot be used. Raises it where there are some but none can.
    """
    damaged: list[str] = []
    for path in run.checkpoints():
        try:
            if missing := _WHOLE - (state := load(path)).keys():
                raise UserError(f"{path} is not the whole state of a run: it has no {', '.join(sorted(missing))}.")
            check(path, state)
            if path.name != name_of(step := state["progress"]["step"]):
                raise UserError(f"{path} holds step {step}: it was renamed, or copied from elsewhere.")
            return state, [f"Warning: {each} The checkpoint before it is used." for each in damaged]
        except UserError as error:
            damaged.append(str(error))
    if damaged:
        raise UserError("No checkpoint can be used: " + " ".join(damaged))
    return None, []


def name_of(step: int) -> str:
    """Return the name of the checkpoint after so many steps."""
    return f"step_{step:09d}.pt"


def check_experiment(path: Path, state: dict[str, Any], hashes: Sequence[str]) -> None:
    """Raise UserError for a checkpoint of an experiment that has none of `hashes`, those of a run's config."""
    if state.get("experiment", hashes[0]) not in hashes:
        raise UserError(f"{path} is of another experiment than this run.")


def seal(archive: bytes) -> bytes:
    """Return a ZIP archive that has no comment with its SHA-256 as one."""
    return archive[:-2] + _LENGTH + hashlib.sha256(archive).hexdigest().encode()


def random_state() -> dict[str, Any]:
    """The state of every global generator: torch's on CPU and CUDA, NumPy's and Python's."""
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [name, torch.from_numpy(np.array(keys)), position, has_gauss, cached],
        "python": random.getstate(),
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Set every global generator back to what `random_state` returned."""
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy(), position, has_gauss, cached))
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))


def _check_members(archive: bytes) -> None:
    """Raise ValueError for an archive that claims more than it holds: torch.save compresses nothing."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        members = opened.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("it is compressed")
    if sum(member.file_size for member in members) > len(archive):
        raise ValueError("it is shorter than its parts")


def _serialize(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    archive = buffer.getvalue()
    assert archive[-22:-18] == b"PK\5\6" and archive[-2:] == b"\0\0", "not a ZIP archive without a comment"
    return seal(archive)
