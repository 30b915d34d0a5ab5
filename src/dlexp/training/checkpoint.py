"""Checkpoints: the complete state of a run, saved atomically and loaded verified (see `storage.sealed`)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlexp.config.lazy import torch
from dlexp.errors import UserError
from dlexp.runs.directory import RunDirectory
from dlexp.storage import sealed

FORMAT = 1
KEPT = 2
_WHOLE = {"model", "optimizer", "scheduler", "random", "progress", "totals", "best_weights", "lengths"}


@dataclass
class Progress:
    """How far a run is: `epoch` whole epochs, and `position` steps of the next one."""

    epoch: int = 0
    position: int = 0
    step: int = 0
    epoch_seconds: float = 0.0
    training_seconds: float = 0.0
    best_epoch: int | None = None
    best_value: float | None = None
    epochs_without_improvement: int = 0
    lr: float | None = None  # of the last step


def save(run: RunDirectory, state: dict[str, Any], *, name: str) -> None:
    """Write `checkpoints/<name>`, and keep only the newest two of the run's `step_` checkpoints.

    Raises OSError if it cannot be written; the earlier checkpoints are then untouched.
    """
    sealed.write_tensors(run.path / "checkpoints" / name, {"format": FORMAT, **state})
    run.keep_checkpoints(KEPT)


def load(path: Path) -> dict[str, Any]:
    """Return the state in a checkpoint, tensors on the CPU.

    Raises UserError if it is missing, damaged, or written by a later version of dlexp.
    """
    state = sealed.read_tensors(path)
    if not isinstance(state, dict) or not isinstance(state.get("format"), int):
        raise UserError(f"{path} is not a checkpoint of dlexp.")
    if state["format"] > FORMAT:
        raise UserError(f"{path} has format {state['format']}, but this dlexp knows {FORMAT}: install a later one.")
    return state


def latest(
    run: RunDirectory, check: Callable[[Path, dict[str, Any]], None] = lambda path, state: None
) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the newest whole checkpoint of a run (None if none was ever written), and warnings of damaged ones.

    `check` raises UserError for a whole checkpoint that cannot be used. Raises UserError if none of them can be used.
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
    """Return the name of the checkpoint after `step` steps."""
    return f"step_{step:09d}.pt"


def check_experiment(path: Path, state: dict[str, Any], hashes: Sequence[str]) -> None:
    """Raise UserError if a checkpoint's experiment has none of `hashes`, the hashes of a run's config."""
    if state.get("experiment", hashes[0]) not in hashes:
        raise UserError(f"{path} belongs to another experiment than this run.")


def random_state() -> dict[str, Any]:
    """Return the state of every global generator: torch's on CPU and CUDA, NumPy's and Python's."""
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
