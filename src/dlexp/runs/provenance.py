"""What besides the config decides a run's bits, and what tells where it came from: hashes, versions, the machine."""

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

from dlexp.config.config import CHANGEABLE, Config
from dlexp.config.lazy import torch
from dlexp.config.registry import import_modules

if TYPE_CHECKING:
    import torch

# Modules that change no number: what is said of a run, and which run when.
SAYING = {"cli.py", "compare", "display.py", "errors.py", "live.py", "report", "run.py", "summary.py", "tabular.py"}
ORDERING = {"launch.py", "plan.py", "plugins.py", "supervisor.py", "sweep.py", "tasks.py", "verbs", "worker.py"}


def environment(config: Config, device: torch.device, hashes: Mapping[str, str]) -> dict[str, Any]:
    """Return what besides the config decides a run's bits, and what tells where it came from.

    `config` has its threads resolved; `hashes` are those of the data, the split and the initial weights.
    """
    return {
        **origin(import_modules(config.imports)),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": config.threads,
        "config_sha256": config_sha256(config.to_mapping()),
        **hashes,
    }


def code_sha256(imports: Sequence[ModuleType] = ()) -> str:
    """The hash of every module that decides a run's numbers, the user's own among them; other code may change."""
    root = Path(__file__).parent
    files = sorted(p for p in root.rglob("*.py") if p.relative_to(root).parts[0] not in SAYING | ORDERING)
    digest = hashlib.sha256()
    for path in [*files, *(Path(module.__file__) for module in imports if module.__file__)]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def origin(imports: Sequence[ModuleType] = ()) -> dict[str, Any]:
    """The command, the code and the machine."""

    def git(*arguments: str) -> str | None:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    return {
        "command": sys.argv,
        "directory": str(Path.cwd()),
        "git_commit": git("rev-parse", "HEAD"),
        "git_dirty": bool(git("status", "--porcelain")),
        "code_sha256": code_sha256(imports),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": torch.backends.cpu.get_cpu_capability(),
    }


def config_sha256(mapping: Mapping[str, Any]) -> str:
    """The hash of what makes a run this experiment: all but where it runs and lies, how far, and how often saved."""
    free = {key.split(".")[0] for key in CHANGEABLE} | {"output_dir", "name", "reference"}
    deciding = {key: value for key, value in mapping.items() if key not in free}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def weights_sha256(model: torch.nn.Module) -> str:
    """The hash of a model's state: names and bytes."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
