"""Fixtures of all tests: a working directory for each test, and the real image datasets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # these nets are too small for two threads; must be set before torch is imported


SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DLEXP_DATA_DIR", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the real MNIST, Hoda and CIFAR-10, prepared once."""
    if not (SHARED / "unpack.py").exists():
        pytest.skip(f"real image datasets are not in {SHARED}")
    folder = tmp_path_factory.mktemp("data")
    subprocess.run([sys.executable, SHARED / "unpack.py", folder], check=True, capture_output=True)
    return folder
