"""A run's provenance: the hashes, versions and machine that, besides the config, decide or explain its bits."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from dlexp.config.code import code_sha256, own_files
from dlexp.config.config import Config
from dlexp.config.keys import role
from dlexp.config.lazy import torch
from dlexp.config.registry import import_modules

if TYPE_CHECKING:
    import torch

# Raise it in a change that gives other bits for the same config, data and PyTorch: another order of sums, of draws
# from a generator, of a component's operations. Finished sweeps then run again. tests/runs/test_numerics.py detects
# such a change.
NUMERICS_VERSION = 2


def environment(
    config: Config, device: torch.device, hashes: Mapping[str, str], command: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the content of environment.json, a run's provenance.

    `config` has its threads resolved; `hashes` are those of the data, the split and the initial weights.
    """
    return {
        **origin(import_modules(config.imports), command),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": config.threads,
        "config_sha256": config_sha256(config.to_mapping()),
        **hashes,
    }


def origin(imports: Sequence[ModuleType], command: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the command (by default this process's), the versions of the code, and the machine."""
    return {
        "command": list(command or sys.argv),
        "sweep": command is not None,  # a sweep tells each job its command
        "directory": str(Path.cwd()),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": _git_dirty(imports),
        "numerics": NUMERICS_VERSION,
        "code_sha256": code_sha256(imports),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": torch.backends.cpu.get_cpu_capability(),
    }


def _git_dirty(imports: Sequence[ModuleType]) -> bool | None:
    """Whether tracked files differ from the commit, or the user's own modules do; None outside a repository.

    Other untracked files, for example runs, decide nothing.
    """
    if (top := _git("rev-parse", "--show-toplevel")) is None:
        return None
    own = [str(path) for path in own_files([m.__name__ for m in imports]).values() if path.is_relative_to(top)]
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return bool(changes or (own and _git("status", "--porcelain", "--untracked-files=all", "--", *own)))


def _git(*arguments: str) -> str | None:
    """Return what git prints; None if it fails, for example outside a repository, or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def config_sha256(mapping: Mapping[str, Any]) -> str:
    """Return the hash of the config's identity keys, which define the experiment."""
    return _sha256({key: value for key, value in mapping.items() if role(key) == "identity"})


def config_hashes(mapping: Mapping[str, Any]) -> tuple[str, str]:
    """Return both hashes that a run of this config may have: the current one, then the one that dlexp 0.1.0 wrote.

    The latter also includes the names of imports and the observation keys of that version.
    """
    also = {"imports", "log_every_n_steps", "evaluate_every_n_steps", "log_gradients", "log_units", "trace_steps"}
    counted = also | {key for key in mapping if role(key) == "identity"}
    return config_sha256(mapping), _sha256({key: value for key, value in mapping.items() if key in counted})


def _sha256(mapping: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(mapping, sort_keys=True).encode()).hexdigest()


def weights_sha256(state: Mapping[str, torch.Tensor]) -> str:
    """Return the hash of a model's state: names and bytes."""
    digest = hashlib.sha256()
    for name, tensor in state.items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())  # NumPy has no bfloat16
    return digest.hexdigest()
