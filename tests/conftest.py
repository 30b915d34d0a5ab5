"""What many tests share: a working directory of their own, and ways to start a run in it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # these nets are too small for two threads; must be set before torch is imported

from dlexp.config.config import load_config
from dlexp.runs.directory import RunDirectory
from dlexp.training import loop
from dlexp.training.build import check
from dlexp.training.resume import resumed_config

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

SMALL_CNN = [
    "model=layers",
    "model.layers=[{conv2d: {out_channels: 4, kernel_size: 3, padding: 1}}, batch_norm2d, activation, {max_pool2d: 2}, "
    "flatten, {linear: 16}, activation, {dropout: 0.3}, output]",
]


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DLEXP_DATA_DIR", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real MNIST, Hoda and CIFAR-10, laid out once."""
    if not (SHARED / "unpack.py").exists():
        pytest.skip(f"real image datasets are not in {SHARED}")
    folder = tmp_path_factory.mktemp("data")
    subprocess.run([sys.executable, SHARED / "unpack.py", folder], check=True, capture_output=True)
    return folder


def train(*overrides: str) -> RunDirectory:
    """Train in this process, two epochs unless said otherwise, without drawing."""
    return loop.train(check(load_config(["epochs=2", *overrides])))


def resume(run: RunDirectory, *overrides: str) -> RunDirectory:
    return loop.train(resumed_config(run, overrides), run)


def start(*arguments: str | Path) -> subprocess.Popen:
    """Start the command in a process of its own."""
    command = [sys.executable, "-m", "dlexp.cli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def only_run(root: Path = Path("outputs")) -> RunDirectory:
    (config,) = root.rglob("config.yaml")
    return RunDirectory(config.parent)


def timeless(run: RunDirectory, name: str) -> list[Sequence[str]]:
    """A table's cells as text, without the columns that tell time."""
    lines = [line.split(",") for line in (run.path / name).read_text().splitlines()]
    kept = [i for i, column in enumerate(lines[0]) if column not in ("seconds", "samples_per_second")]
    return [[cells[i] for i in kept] for cells in lines]
